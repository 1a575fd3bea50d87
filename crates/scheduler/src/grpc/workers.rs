//! Workers: who is there.

use super::Door;
use crate::{gap::NOT_OPEN, view::View};
use domain::{Error, Hello, Result, WorkerSnapshot};
use std::time::Duration;
use tokio::time::timeout;
use wire::v1;

/// How long a call waits for a store that is being opened: that takes some milliseconds, if it can be.
const OPENING: Duration = Duration::from_secs(1);

/// "None" is an answer of an opened store only.
pub(super) async fn workers(door: &Door) -> Result<v1::ListWorkersResponse> {
    let mut views = door.views.clone();
    let opened = timeout(OPENING, views.wait_for(|View { opened, .. }| *opened)).await;
    let view = opened.ok().and_then(std::result::Result::ok).ok_or_else(|| Error::unavailable(NOT_OPEN))?;
    Ok(v1::ListWorkersResponse { workers: view.snapshot.workers.iter().map(info).collect() })
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
