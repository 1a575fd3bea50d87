//! Explain: why a task isn't running, and what each worker says to it.

use super::{Door, get};
use domain::{Result, StateWord};
use wire::v1;

pub(super) async fn explain(door: &Door, request: v1::ExplainTaskRequest) -> Result<v1::ExplainTaskResponse> {
    let (task, waiting) = get::look(door, wire::task_id(&request.task_id)?).await?;
    let word = task.state.word();
    let queued = word == StateWord::Queued;
    let fits = if queued { engine::fits(&task.spec, &door.views.borrow().snapshot) } else { Vec::new() };
    Ok(wire::v1_explained(word, waiting.as_ref(), fits))
}
