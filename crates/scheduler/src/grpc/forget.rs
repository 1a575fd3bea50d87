//! Forget: a worker that is gone is struck off.

use super::Door;
use domain::Result;
use wire::v1;

pub(super) async fn forget(door: &Door, request: v1::ForgetWorkerRequest) -> Result<v1::ForgetWorkerResponse> {
    let worker = wire::worker_id(&request.worker_id)?;
    let lost = door.mailbox.forget(worker.clone()).await?;
    tracing::info!(%worker, lost, "Worker forgotten");
    Ok(v1::ForgetWorkerResponse { lost })
}
