//! What passes between a worker and its scheduler (PROTOCOL P1 and P2), in both directions.

mod frame;
mod hello;
mod order;
mod report;

pub use frame::{ack, frame, v1_ack, v1_frame};
pub use hello::{PROTOCOL, executors, hello, v1_hello};
pub use order::{order_batch, v1_assignment};
pub use report::{update, v1_update};

use domain::{AttemptId, AttemptNo, Error, Result};

/// Reads the two fields that name an attempt.
fn attempt_id(task_id: &str, attempt: u32) -> Result<AttemptId> {
    let task = crate::task::task_id(task_id)?;
    if attempt == 0 {
        return Err(Error::field("attempt", "must be at least 1"));
    }
    Ok(AttemptId { task, no: AttemptNo(attempt) })
}

/// A message that carries nothing where something is needed.
fn missing(field: &str) -> Error {
    Error::field(field, "must not be missing")
}
