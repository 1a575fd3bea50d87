//! Forgets a worker that is not connected: what it held is lost at once.

use super::App;
use domain::Result;
use wire::v1::{ForgetWorkerRequest, ForgetWorkerResponse};

impl App {
    pub(crate) async fn forget(&self, request: ForgetWorkerRequest) -> Result<ForgetWorkerResponse> {
        let worker_id = wire::worker_id(&request.worker_id)?;
        let answer = self.upstream.answer(self.upstream.calls().forget_worker(request)).await?;
        tracing::info!(%worker_id, lost = answer.lost, "Worker forgotten");
        Ok(answer)
    }
}
