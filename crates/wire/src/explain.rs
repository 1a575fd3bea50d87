//! Why a task isn't running, as it is answered.

use crate::{status::task_status, v1};
use domain::{StateWord, WaitReason, WorkerId};

/// The answer to ExplainTask: `fits` says of each connected worker what of the task's requirements it misses, and whether it
/// would take a task now.
pub fn v1_explained(
    word: StateWord,
    waiting: Option<&WaitReason>,
    fits: Vec<(WorkerId, Option<String>, bool)>,
) -> v1::ExplainTaskResponse {
    v1::ExplainTaskResponse {
        status: task_status(word).into(),
        state: word.as_str().into(),
        waiting_for: waiting.into_iter().map(v1::Waiting::from).collect(),
        workers: fits.into_iter().map(fit).collect(),
    }
}

fn fit((worker, missing, free): (WorkerId, Option<String>, bool)) -> v1::WorkerFit {
    v1::WorkerFit { worker_id: worker.as_str().into(), missing: missing.unwrap_or_default(), free }
}
