//! What a caller may reach: a token may be limited to one queue.
//!
//! Whoever is limited sees nothing of other queues, not even that a task is there. Must cost nothing for everybody else.

use super::App;
use crate::call;
use domain::{Error, Kind, Result};
use wire::v1::{GetTaskRequest, TaskSpec};

/// The queue of a task that names none.
const QUEUE_DEFAULT: &str = "default";

impl App {
    /// Whether the caller may know of this task.
    pub(super) async fn reaches(&self, task_id: &str) -> Result<()> {
        let Some(queue) = call::queue() else { return Ok(()) };
        let request = GetTaskRequest { task_id: task_id.to_owned() };
        let task = self.upstream.answer(self.upstream.calls().get_task(request)).await?;
        let own = task.spec.as_ref().is_some_and(|spec| of_queue(spec, &queue));
        if own { Ok(()) } else { Err(Error::no_task(task_id)) }
    }
}

/// Whether the caller may submit this.
pub(super) fn may_submit(spec: &TaskSpec) -> Result<()> {
    match call::queue() {
        Some(queue) if !of_queue(spec, &queue) => Err(limited(&queue)),
        Some(_) | None => Ok(()),
    }
}

/// The queue that the caller asks about: all, or the one that he is limited to.
pub(super) fn asked(queue: String) -> Result<String> {
    match call::queue() {
        None => Ok(queue),
        Some(own) if queue.is_empty() || queue == own => Ok(own),
        Some(own) => Err(limited(&own)),
    }
}

/// For what belongs to no queue.
pub(super) fn unlimited() -> Result<()> {
    call::queue().map_or(Ok(()), |queue| Err(limited(&queue)))
}

fn of_queue(spec: &TaskSpec, queue: &str) -> bool {
    let of = if spec.queue.is_empty() { QUEUE_DEFAULT } else { &spec.queue };
    of == queue
}

fn limited(queue: &str) -> Error {
    Error::new(Kind::Denied, format!("queue: this token is limited to the queue {queue:?}"))
}
