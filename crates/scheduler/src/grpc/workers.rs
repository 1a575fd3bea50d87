//! Workers: who is there.

use domain::{Hello, WorkerSnapshot};
use engine::Snapshot;
use wire::v1;

pub(super) fn workers(snapshot: &Snapshot) -> v1::ListWorkersResponse {
    v1::ListWorkersResponse { workers: snapshot.workers.iter().map(info).collect() }
}

fn info(worker: &WorkerSnapshot) -> v1::WorkerInfo {
    let WorkerSnapshot { hello, status, running, free: _, heard } = worker;
    let Hello {
        worker,
        incarnation: _,
        labels,
        shell,
        docker,
        handlers,
        demo: _,
        opened: _,
        highest_epoch: _,
        held: _,
        slots,
        address,
        kill_level,
        version,
    } = hello;
    v1::WorkerInfo {
        worker_id: worker.as_str().into(),
        status: status.as_str().into(),
        address: address.clone(),
        labels: labels.clone().into_iter().collect(),
        slots: *slots,
        running: *running,
        last_heartbeat_ms: heard.0,
        handlers: handlers.iter().cloned().collect(),
        executors: wire::worker::executors(*shell, *docker),
        kill_level: kill_level.map_or("none", domain::KillLevel::as_str).into(),
        version: version.clone(),
    }
}
