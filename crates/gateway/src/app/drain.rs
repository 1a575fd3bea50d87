//! A worker takes nothing new, or may again.

use super::App;
use domain::Result;
use wire::v1::{DrainWorkerRequest, DrainWorkerResponse};

impl App {
    pub(crate) async fn drain(&self, request: DrainWorkerRequest) -> Result<DrainWorkerResponse> {
        let worker_id = wire::worker_id(&request.worker_id)?;
        let on = !request.undo;
        let answer = self.upstream.answer(self.upstream.calls().drain_worker(request)).await?;
        tracing::info!(%worker_id, on, running = answer.running, "Worker drain accepted");
        Ok(answer)
    }
}
