//! Resolve: the task that a person means by `last`, a prefix or a suffix.

use super::Door;
use domain::{Error, Kind, Result};
use wire::v1;

/// Candidates named in an error.
const SHOWN: usize = 5;
/// Characters of an id, hyphens included.
const ID_CHARS: usize = 36;

pub(super) async fn resolve(door: &Door, request: v1::ResolveTaskRequest) -> Result<v1::ResolveTaskResponse> {
    let text = request.text;
    let form = text == "last" || text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if text.is_empty() || text.len() > ID_CHARS || !form {
        return Err(Error::field("task_id", "is neither an id, nor part of one, nor `last`"));
    }
    let asked = text.clone();
    let found = door.read(move |reader| reader.named(&asked, SHOWN)).await?;
    match found.as_slice() {
        [] if text == "last" => Err(Error::new(Kind::NotFound, "there are no tasks yet")),
        [] => Err(Error::no_task(&text)),
        [only] => Ok(v1::ResolveTaskResponse { task_id: only.to_string() }),
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            Err(Error::new(Kind::Precondition, format!("{text} could be any of {}", names.join(", "))))
        }
    }
}
