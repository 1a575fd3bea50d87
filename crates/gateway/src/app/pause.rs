//! Nothing of a queue is given to workers any more, or again.

use super::App;
use domain::Result;
use wire::v1::{PauseQueueRequest, PauseQueueResponse};

impl App {
    pub(crate) async fn pause(&self, request: PauseQueueRequest) -> Result<PauseQueueResponse> {
        let queue = wire::queue_name(&request.queue)?;
        let on = !request.resume;
        let answer = self.upstream.answer(self.upstream.calls().pause_queue(request)).await?;
        tracing::info!(queue, on, "Queue pause accepted");
        Ok(answer)
    }
}
