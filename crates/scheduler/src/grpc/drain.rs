//! Drain: a worker takes nothing new, or may again.

use super::Door;
use domain::Result;
use wire::v1;

pub(super) async fn drain(door: &Door, request: v1::DrainWorkerRequest) -> Result<v1::DrainWorkerResponse> {
    let v1::DrainWorkerRequest { worker_id, undo } = request;
    let worker = wire::worker_id(&worker_id)?;
    let running = door.mailbox.drain(worker.clone(), !undo).await?;
    if undo {
        tracing::info!(%worker, "Worker takes tasks again");
    } else {
        tracing::info!(%worker, running, "Worker draining");
    }
    Ok(v1::DrainWorkerResponse { running })
}
