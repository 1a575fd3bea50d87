//! Resolve: the task that a person means by `last`, a prefix or a suffix; with `.INDEX` behind it a member of an array.

use super::Door;
use domain::{Error, Kind, Result, TaskId, limits};
use wire::v1;

/// Candidates named in an error.
const SHOWN: usize = 5;
/// Characters of an id without an index, hyphens included.
const ID_CHARS: usize = 36;

pub(super) async fn resolve(door: &Door, request: v1::ResolveTaskRequest) -> Result<v1::ResolveTaskResponse> {
    let text = request.text;
    let (name, index) = match text.split_once('.') {
        Some((name, index)) => (name, Some(index.parse().ok().filter(|n| *n <= limits::ARRAY_INDEX).ok_or_else(bad)?)),
        None => (text.as_str(), None),
    };
    let form = name == "last" || name.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if name.is_empty() || name.len() > ID_CHARS || !form {
        return Err(bad());
    }
    let id = named(door, name).await?;
    let id = match index {
        Some(index) => member(door, id.member(index)).await?,
        None => id,
    };
    Ok(v1::ResolveTaskResponse { task_id: id.to_string() })
}

fn bad() -> Error {
    Error::field("task_id", "is neither an id, nor part of one, nor `last`")
}

async fn named(door: &Door, name: &str) -> Result<TaskId> {
    let asked = name.to_owned();
    let found = door.read(move |reader| reader.named(&asked, SHOWN)).await?;
    match found.as_slice() {
        [] if name == "last" => Err(Error::new(Kind::NotFound, "there are no tasks yet")),
        [] => Err(Error::no_task(name)),
        [only] => Ok(*only),
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            Err(Error::new(Kind::Precondition, format!("{name} could be any of {}", names.join(", "))))
        }
    }
}

/// Whether there is such a member, the array says.
async fn member(door: &Door, id: TaskId) -> Result<TaskId> {
    let there = door.read(move |reader| reader.task(id)).await?.is_some();
    there.then_some(id).ok_or_else(|| Error::no_task(id))
}
