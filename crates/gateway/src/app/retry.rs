//! Runs a final task again, as a new one.

use super::App;
use domain::Result;
use wire::v1::{RetryRequest, RetryTaskRequest, TaskAccepted};

impl App {
    pub(crate) async fn retry(&self, request: RetryTaskRequest) -> Result<TaskAccepted> {
        let RetryTaskRequest { task_id } = request;
        wire::task_id(&task_id)?;
        self.reaches(&task_id).await?;
        let retry = RetryRequest { new_task_id: self.ids.draw()?.to_string(), task_id, repeated_call: false };
        let of = retry.task_id.clone();
        let accepted = self.upstream.create(retry, self.patience.is_worthwhile(), &self.ids).await?;
        tracing::info!(task_id = accepted.task_id, retry_of = of, "Task retried");
        Ok(accepted)
    }
}
