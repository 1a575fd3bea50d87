//! Cancels all unfinished tasks that match.

use super::{App, reach};
use domain::Result;
use wire::v1::{CancelTasksRequest, CancelTasksResponse};

impl App {
    pub(crate) async fn cancel_many(&self, mut request: CancelTasksRequest) -> Result<CancelTasksResponse> {
        // Only for its form: the scheduler reads it again.
        wire::cancel_filter(request.clone())?;
        if request.array_id.is_empty() {
            request.queue = reach::asked(request.queue)?;
            // All, to whoever is limited to a queue, is all of that queue.
            request.all &= request.queue.is_empty();
        } else {
            self.reaches(&request.array_id).await?;
        }
        let answer = self.upstream.answer_to_many(self.upstream.calls().cancel_tasks(request)).await?;
        tracing::info!(cancelled = answer.cancelled, cancelling = answer.cancelling, "Tasks cancelled");
        Ok(answer)
    }
}
