//! Workers: as seed N's agents, and with all that is known of them.

use super::{Shared, extract::Segment, refusal::Refusal, words::time};
use axum::{Json, extract::State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use wire::v1;

/// A worker as older clients know it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    agent_id: String,
    /// connected, draining or disconnected.
    status: String,
    labels: BTreeMap<String, String>,
    /// How many tasks it runs at once.
    slots: u32,
    running: u32,
    last_heartbeat: String,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agents {
    agents: Vec<Agent>,
}

/// A worker.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Worker {
    worker_id: String,
    /// connected, draining or disconnected.
    status: String,
    address: String,
    labels: BTreeMap<String, String>,
    /// How many tasks it runs at once.
    slots: u32,
    running: u32,
    last_heartbeat: String,
    /// The handlers that it offers.
    handlers: Vec<String>,
    /// How it ends process trees: cgroup-v2, cgroup-v1 or best-effort.
    kill_level: String,
    version: String,
    /// What it runs: shell, docker, handler.
    executors: Vec<String>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Workers {
    workers: Vec<Worker>,
}

/// What a worker still holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Drained {
    worker_id: String,
    /// Attempts that it still holds.
    running: u32,
}

/// The agents that the scheduler knows.
#[utoipa::path(get, path = "/agents", operation_id = "list_agents", tag = "agents", responses((status = 200, description = "All of them", body = Agents)))]
pub(super) async fn agents(State(app): State<Shared>) -> Result<Json<Agents>, Refusal> {
    let agents = known(&app).await?.into_iter().map(Agent::from).collect();
    Ok(Json(Agents { agents }))
}

/// The workers that the scheduler knows.
#[utoipa::path(get, path = "/workers", operation_id = "list_workers", tag = "workers", responses((status = 200, description = "All of them", body = Workers)))]
pub(super) async fn list(State(app): State<Shared>) -> Result<Json<Workers>, Refusal> {
    let workers = known(&app).await?;
    Ok(Json(Workers { workers }))
}

async fn known(app: &Shared) -> Result<Vec<Worker>, Refusal> {
    Ok(app.workers(v1::ListWorkersRequest {}).await?.workers.into_iter().map(Worker::from).collect())
}

/// The worker takes nothing new, and gives back what it has not started.
#[utoipa::path(post, path = "/workers/{id}/drain", operation_id = "drain_worker", tag = "workers", params(("id" = String, Path, description = "The worker's id")),
    responses((status = 200, description = "It takes nothing new", body = Drained)))]
pub(super) async fn drain(State(app): State<Shared>, Segment(id): Segment) -> Result<Json<Drained>, Refusal> {
    set(&app, id, false).await
}

/// The worker may take tasks again.
#[utoipa::path(post, path = "/workers/{id}/undrain", operation_id = "undrain_worker", tag = "workers", params(("id" = String, Path, description = "The worker's id")),
    responses((status = 200, description = "It may take tasks", body = Drained)))]
pub(super) async fn undrain(State(app): State<Shared>, Segment(id): Segment) -> Result<Json<Drained>, Refusal> {
    set(&app, id, true).await
}

async fn set(app: &Shared, worker_id: String, undo: bool) -> Result<Json<Drained>, Refusal> {
    let asked = v1::DrainWorkerRequest { worker_id: worker_id.clone(), undo };
    let v1::DrainWorkerResponse { running } = app.drain(asked).await?;
    Ok(Json(Drained { worker_id, running }))
}

impl From<v1::WorkerInfo> for Worker {
    fn from(worker: v1::WorkerInfo) -> Self {
        let v1::WorkerInfo {
            worker_id,
            status,
            address,
            labels,
            slots,
            running,
            last_heartbeat_ms,
            handlers,
            kill_level,
            version,
            executors,
        } = worker;
        let (labels, last_heartbeat) = (labels.into_iter().collect(), time(last_heartbeat_ms));
        Self {
            worker_id,
            status,
            address,
            labels,
            slots,
            running,
            last_heartbeat,
            handlers,
            kill_level,
            version,
            executors,
        }
    }
}

impl From<Worker> for Agent {
    fn from(worker: Worker) -> Self {
        let Worker {
            worker_id: agent_id,
            status,
            address: _,
            labels,
            slots,
            running,
            last_heartbeat,
            handlers: _,
            kill_level: _,
            version: _,
            executors: _,
        } = worker;
        Self { agent_id, status, labels, slots, running, last_heartbeat }
    }
}
