//! Cancels all unfinished tasks that match.

use super::App;
use domain::Result;
use wire::v1::{CancelTasksRequest, CancelTasksResponse};

impl App {
    pub(crate) async fn cancel_many(&self, request: CancelTasksRequest) -> Result<CancelTasksResponse> {
        // Only for its form: the scheduler reads it again.
        wire::cancel_filter(request.clone())?;
        let answer = self.upstream.answer_to_many(self.upstream.calls().cancel_tasks(request)).await?;
        tracing::info!(cancelled = answer.cancelled, cancelling = answer.cancelling, "Tasks cancelled");
        Ok(answer)
    }
}
