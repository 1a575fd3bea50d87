//! Cancels a task.

use super::App;
use domain::Result;
use wire::v1::{CancelTaskRequest, CancelTaskResponse};

impl App {
    pub(crate) async fn cancel(&self, request: CancelTaskRequest) -> Result<CancelTaskResponse> {
        let task_id = wire::task_id(&request.task_id)?;
        self.reaches(&request.task_id).await?;
        let answer = self.upstream.answer(self.upstream.calls().cancel_task(request)).await?;
        tracing::info!(%task_id, state = answer.state, "Task cancel accepted");
        Ok(answer)
    }
}
