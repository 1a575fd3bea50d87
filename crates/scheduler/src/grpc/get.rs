//! Get: one task as it stands, with why it waits.

use super::Door;
use domain::{Error, Result, State, Task, Wait, WaitReason, WorkerStatus};
use engine::{Snapshot, explain};
use wire::v1;

/// Beyond so many, "more than" has to do (PROTOCOL P4).
const BEHIND: u64 = 10_000;

pub(super) async fn get(door: &Door, request: v1::GetTaskRequest) -> Result<v1::Task> {
    let id = wire::task_id(&request.task_id)?;
    let snapshot = std::sync::Arc::clone(&door.views.borrow().snapshot);
    let read = move |reader: &dyn store::Reader| {
        let Some(task) = reader.task(id)? else { return Ok(None) };
        let queued = matches!(task.state, State::Pending(Wait::Queued));
        let behind = if queued { reader.ahead(&task, BEHIND)? } else { 0 };
        Ok(Some((task, behind)))
    };
    let (task, behind) = door.read(read).await?.ok_or_else(|| Error::no_task(id))?;
    let waiting: Vec<_> = waiting(&task, &snapshot, behind).into_iter().collect();
    Ok(wire::v1_task(&task, &waiting, false))
}

fn waiting(task: &Task, snapshot: &Snapshot, behind: u64) -> Option<WaitReason> {
    match &task.state {
        // A task that could start is between two commits: it is next.
        State::Pending(Wait::Queued) => {
            explain(&task.spec, &snapshot.workers, &snapshot.offered, || behind).or(Some(WaitReason::Queued { behind }))
        }
        State::Pending(Wait::BackingOff(due)) => Some(WaitReason::BackingOff { until: due.at }),
        State::Dispatched(attempt) | State::Running(attempt) | State::Cancelling(attempt) => {
            let away = |w: &&domain::WorkerSnapshot| w.status == WorkerStatus::Disconnected;
            let worker = snapshot.workers.iter().find(|w| w.hello.worker == attempt.worker).filter(away)?;
            Some(WaitReason::OutOfContact(worker.hello.worker.clone()))
        }
        State::Final(_) => None,
    }
}
