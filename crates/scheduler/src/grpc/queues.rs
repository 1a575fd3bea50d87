//! Queues: what they hold, and which are paused.

use super::Door;
use domain::Result;
use store::Queue;
use wire::v1;

pub(super) async fn queues(door: &Door) -> Result<v1::ListQueuesResponse> {
    let queues = door.read(|reader| reader.queues()).await?;
    let info = |Queue { name, counts, paused }: &Queue| wire::v1_queue(name, counts, *paused);
    Ok(v1::ListQueuesResponse { queues: queues.iter().map(info).collect() })
}
