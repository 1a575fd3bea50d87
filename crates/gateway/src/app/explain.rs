//! Why a task is not running.

use super::App;
use domain::Result;
use wire::v1::{ExplainTaskRequest, ExplainTaskResponse};

impl App {
    pub(crate) async fn explain(&self, request: ExplainTaskRequest) -> Result<ExplainTaskResponse> {
        wire::task_id(&request.task_id)?;
        self.reaches(&request.task_id).await?;
        self.upstream.answer(self.upstream.calls().explain_task(request)).await
    }
}
