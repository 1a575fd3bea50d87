//! Retry: a final task is run again as a new one, in its place; of an array, the members that failed or timed out.

use super::{Door, submit};
use domain::{ArraySpec, Error, IdempotencyKey, Kind, Range, Ranges, Result, Spec, Task, TaskId};
use engine::{NewTask, RetryOf};
use std::sync::Arc;
use wire::v1;

pub(super) async fn retry(door: &Door, request: v1::RetryRequest) -> Result<v1::TaskAccepted> {
    let v1::RetryRequest { new_task_id, task_id, repeated_call } = request;
    if !repeated_call {
        door.disk.check()?;
    }
    let (id, of) = wire::retry_ids(&new_task_id, &task_id)?;
    let task = door.read(move |reader| reader.task(of)).await?.ok_or_else(|| Error::no_task(of))?;
    if !task.state.is_final() {
        let text = format!("task {of} is {}: only a final task can be retried", task.state.word().as_str());
        return Err(Error::new(Kind::Precondition, text));
    }
    let new = match (of.index(), &task.array) {
        (Some(index), _) => member(id, &task, index)?,
        (None, Some(_)) => failed_members(door, id, &task).await?,
        (None, None) => new_task(id, &task, None, Vec::new(), task.ready_seq),
    };
    let accepted = door.mailbox.submit(vec![new], repeated_call, false).await?;
    let accepted = accepted.first().ok_or_else(|| Error::internal("a task was accepted, but not named"))?;
    tracing::info!(task_id = %accepted.id, retry_of = %of, "Task retried");
    Ok(submit::v1_accepted(accepted, door.receipts.now()))
}

/// An array of this member alone.
fn member(id: TaskId, task: &Task, index: u32) -> Result<NewTask> {
    let ranges = Ranges::new(vec![Range { first: index, last: index }])?;
    let entries: Vec<Arc<str>> = task.entry.iter().cloned().collect();
    let array = ArraySpec { ranges, entries: !entries.is_empty() };
    Ok(new_task(id, task, Some(array), entries, task.ready_seq))
}

/// An array of those that failed or timed out, in the place of the first of them.
async fn failed_members(door: &Door, id: TaskId, task: &Task) -> Result<NewTask> {
    let of = task.id;
    let failed = door.read(move |reader| reader.failed_members(of)).await?;
    let Some(first) = failed.first() else {
        return Err(Error::new(Kind::Precondition, format!("no member of {of} failed")));
    };
    let place = task.member(*first, None).map_or(task.ready_seq, |member| member.ready_seq);
    let with_entries = task.spec.array.as_ref().is_some_and(|array| array.entries);
    let ranks: Vec<u64> = failed.iter().filter_map(|index| task.rank(of.member(*index))).collect();
    let entries = if with_entries { door.read(move |reader| reader.entries(of, &ranks)).await? } else { Vec::new() };
    let ranges = Ranges::new(failed.iter().map(|index| Range { first: *index, last: *index }).collect())?;
    Ok(new_task(id, task, Some(ArraySpec { ranges, entries: with_entries }), entries, place))
}

/// Without the key: under it, the old task would be found.
fn new_task(id: TaskId, of: &Task, array: Option<ArraySpec>, entries: Vec<Arc<str>>, ready_seq: u64) -> NewTask {
    let key: Option<IdempotencyKey> = None;
    let spec = Spec { key, array, ..(*of.spec).clone() };
    NewTask { id, spec: Arc::new(spec), entries, retry: Some(RetryOf { task: of.id, ready_seq }) }
}
