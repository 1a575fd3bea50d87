//! Cancel tasks: all unfinished ones that match, a page at a time. What is done by then stays done if the call breaks.

use super::Door;
use crate::clock::Clock;
use domain::{Kind, PageRequest, Result, StateWord, TaskId, limits};
use wire::v1;

pub(super) async fn cancel_tasks(door: &Door, request: v1::CancelTasksRequest) -> Result<v1::CancelTasksResponse> {
    let filter = wire::cancel_filter(request)?;
    // Tasks that come while this goes on are none of its business: it would never end.
    let began = Clock::start().now().wall;
    let mut done = v1::CancelTasksResponse { cancelled: 0, cancelling: 0 };
    let mut after = None;
    loop {
        let request = PageRequest { filter: filter.clone(), after, limit: limits::CANCEL_TASKS };
        let page = door.read(move |reader| reader.list(&request)).await?;
        let tasks: Vec<TaskId> = page.items.iter().filter(|t| t.accepted.at <= began).map(|task| task.id).collect();
        if !tasks.is_empty() {
            cancel(door, tasks, &mut done).await?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let v1::CancelTasksResponse { cancelled, cancelling } = done;
    tracing::info!(cancelled, cancelling, "Tasks cancelled");
    Ok(done)
}

async fn cancel(door: &Door, tasks: Vec<TaskId>, done: &mut v1::CancelTasksResponse) -> Result<()> {
    for result in door.mailbox.cancel(tasks).await? {
        match result {
            Ok(StateWord::Cancelled) => done.cancelled += 1,
            Ok(StateWord::Cancelling) => done.cancelling += 1,
            Ok(
                StateWord::Queued
                | StateWord::Delayed
                | StateWord::BackingOff
                | StateWord::Dispatched
                | StateWord::Running
                | StateWord::Completed
                | StateWord::Failed
                | StateWord::TimedOut,
            ) => {}
            // It ended, or was deleted, since it was read.
            Err(error) if matches!(error.kind(), Kind::Precondition | Kind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
