//! Get: one task as it stands, with why it waits.

use super::Door;
use domain::{Error, Result, Task, TaskId, WaitReason};
use engine::Snapshot;
use std::sync::Arc;
use store::{Failure, Reader};
use wire::v1;

pub(super) async fn get(door: &Door, request: v1::GetTaskRequest) -> Result<v1::Task> {
    let (task, waiting) = look(door, wire::task_id(&request.task_id)?).await?;
    Ok(wire::v1_task(&task, waiting.as_slice(), false))
}

/// A task, and why it waits.
pub(super) async fn look(door: &Door, id: TaskId) -> Result<(Task, Option<WaitReason>)> {
    let snapshot = Arc::clone(&door.views.borrow().snapshot);
    let read = move |reader: &dyn Reader| {
        let Some(task) = reader.task(id)? else { return Ok(None) };
        let waiting = waiting(reader, &task, &snapshot)?;
        Ok(Some((task, waiting)))
    };
    door.read(read).await?.ok_or_else(|| Error::no_task(id))
}

fn waiting(reader: &dyn Reader, task: &Task, snapshot: &Snapshot) -> Result<Option<WaitReason>, Failure> {
    let mut failure = None;
    let behind = || {
        // One more than is counted says "more than".
        let behind = reader.behind(task, WaitReason::BEHIND + 1);
        behind.unwrap_or_else(|error| {
            failure = Some(error);
            0
        })
    };
    let reason = engine::waiting(task, snapshot, behind);
    failure.map_or(Ok(reason), Err)
}
