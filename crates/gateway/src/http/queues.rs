//! Queues are looked at, paused and resumed.

use super::{Shared, extract::Segment, refusal::Refusal, task::counts};
use axum::{Json, extract::State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use wire::v1;

/// A queue that has tasks or is paused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    queue: String,
    paused: bool,
    /// Tasks by state; members of arrays count, arrays don't.
    tasks: BTreeMap<&'static str, u64>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queues {
    queues: Vec<Queue>,
}

/// A queue's new state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Paused {
    queue: String,
    paused: bool,
}

/// The queues that have tasks or are paused.
#[utoipa::path(get, path = "/queues", operation_id = "list_queues", tag = "queues", responses((status = 200, description = "All of them", body = Queues)))]
pub(super) async fn list(State(app): State<Shared>) -> Result<Json<Queues>, Refusal> {
    let queue =
        |v1::QueueInfo { queue, paused, tasks }| Queue { queue, paused, tasks: counts(&tasks.unwrap_or_default()) };
    let queues = app.queues(v1::ListQueuesRequest {}).await?.queues.into_iter().map(queue).collect();
    Ok(Json(Queues { queues }))
}

/// Nothing of the queue is given to workers any more; what runs runs on.
#[utoipa::path(post, path = "/queues/{name}/pause", operation_id = "pause_queue", tag = "queues", params(("name" = String, Path, description = "The queue's name")),
    responses((status = 200, description = "It is paused", body = Paused)))]
pub(super) async fn pause(State(app): State<Shared>, Segment(queue): Segment) -> Result<Json<Paused>, Refusal> {
    set(&app, queue, true).await
}

/// The queue goes on.
#[utoipa::path(post, path = "/queues/{name}/resume", operation_id = "resume_queue", tag = "queues", params(("name" = String, Path, description = "The queue's name")),
    responses((status = 200, description = "It goes on", body = Paused)))]
pub(super) async fn resume(State(app): State<Shared>, Segment(queue): Segment) -> Result<Json<Paused>, Refusal> {
    set(&app, queue, false).await
}

async fn set(app: &Shared, queue: String, paused: bool) -> Result<Json<Paused>, Refusal> {
    app.pause(v1::PauseQueueRequest { queue: queue.clone(), resume: !paused }).await?;
    Ok(Json(Paused { queue, paused }))
}
