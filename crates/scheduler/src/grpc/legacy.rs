//! The older dialect of workers: heartbeat, progress, result on one side, bare assignments on the other.

use domain::{Error, Order, Progress, Result, Start, WorkerId, limits};
use engine::LegacyMessage;
use wire::v1;

/// What a message of the older dialect says.
pub(super) fn message(message: v1::worker_response::Message) -> Result<LegacyMessage> {
    use v1::worker_response::Message as M;
    match message {
        M::Heartbeat(v1::WorkerHeartbeat { worker_id, worker_address, available_slots, timestamp: _ }) => {
            let slots =
                u32::try_from(available_slots).map_err(|_| Error::field("available_slots", "must not be negative"))?;
            Ok(LegacyMessage::Heartbeat { worker: WorkerId::new(&worker_id), address: worker_address, slots })
        }
        M::Progress(v1::TaskProgress { task_id, status: _, progress_percent, message, timestamp: _ }) => {
            let percent = u8::try_from(progress_percent.clamp(0, 100)).unwrap_or(100);
            let message = message.chars().take(limits::MESSAGE_CHARS).collect();
            Ok(LegacyMessage::Progress { task: wire::task_id(&task_id)?, progress: Progress { percent, message } })
        }
        M::Result(result) => ended(result),
        M::Hello(_) | M::Update(_) => Err(Error::field("message", "is of another dialect than the stream's first one")),
    }
}

/// COMPLETED and FAILED count; CANCELLED counts as failed, unless cancel was asked for; others are refused (PROTOCOL P1).
fn ended(result: v1::TaskResult) -> Result<LegacyMessage> {
    let v1::TaskResult { task_id, status, output, error_message, timestamp: _ } = result;
    let task = wire::task_id(&task_id)?;
    if output.len() > limits::RESULT_BYTES {
        return Err(Error::field("output", format!("is over {} bytes", limits::RESULT_BYTES)));
    }
    let failed = |fallback: &str| if error_message.is_empty() { fallback.to_owned() } else { error_message.clone() };
    let result = match v1::TaskStatus::try_from(status) {
        Ok(v1::TaskStatus::Completed) => Ok(output),
        Ok(v1::TaskStatus::Failed) => Err(failed("failed")),
        Ok(v1::TaskStatus::Cancelled) => Err(failed("cancelled by its worker")),
        Ok(
            v1::TaskStatus::Unspecified
            | v1::TaskStatus::Pending
            | v1::TaskStatus::Running
            | v1::TaskStatus::TimedOut
            | v1::TaskStatus::Dispatched,
        )
        | Err(_) => return Err(Error::field("status", "of a result must be COMPLETED, FAILED or CANCELLED")),
    };
    Ok(LegacyMessage::Result { task, result })
}

/// What such a worker is sent of an order: only assignments.
pub(crate) fn assignment(order: Order) -> Option<v1::TaskAssignment> {
    match order {
        Order::Start(Start { attempt, spec, class: _, entry }) => {
            let mut spec = v1::TaskSpec { array: None, ..v1::TaskSpec::from(&*spec) };
            // As other workers give it to their handlers.
            if let Some(entry) = entry.filter(|_| spec.payload.is_empty()) {
                spec.payload = entry.as_bytes().to_vec();
            }
            Some(v1::TaskAssignment { task_id: attempt.task.to_string(), spec: Some(spec), ..Default::default() })
        }
        Order::Welcome(_) | Order::Kill(_) | Order::Recall(_) | Order::Forget(_) | Order::Drain => None,
    }
}
