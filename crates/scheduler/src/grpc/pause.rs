//! Pause: nothing of a queue is given to workers, or it goes on.

use super::Door;
use domain::Result;
use wire::v1;

pub(super) async fn pause(door: &Door, request: v1::PauseQueueRequest) -> Result<v1::PauseQueueResponse> {
    let v1::PauseQueueRequest { queue, resume } = request;
    let queue = wire::queue_name(&queue)?;
    door.mailbox.pause(queue.clone(), !resume).await?;
    tracing::info!(%queue, "{}", if resume { "Queue resumed" } else { "Queue paused" });
    Ok(v1::PauseQueueResponse {})
}
