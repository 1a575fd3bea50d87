//! Snapshots: what readers see of workers and queues, without asking the engine (PROTOCOL P3).

use crate::Engine;
use domain::{WorkerSnapshot, WorkerStatus};
use std::collections::BTreeSet;

/// Workers and queues at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// All workers seen in this reign, by name.
    pub workers: Vec<WorkerSnapshot>,
    /// Handler names that any worker has ever offered.
    pub offered: BTreeSet<String>,
    /// Queues of which nothing is given to workers.
    pub paused: BTreeSet<String>,
}

impl Engine {
    /// Takes a snapshot. Costs time in proportion to workers and classes, not to tasks.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            workers: self.worker_snapshots(),
            offered: self.offered.clone(),
            paused: self.classes.paused().clone(),
        }
    }

    pub(crate) fn worker_snapshots(&self) -> Vec<WorkerSnapshot> {
        let view = |worker: &crate::workers::Worker| WorkerSnapshot {
            hello: worker.hello.clone(),
            status: match (&worker.session, worker.draining) {
                (None, _) => WorkerStatus::Disconnected,
                (Some(_), true) => WorkerStatus::Draining,
                (Some(_), false) => WorkerStatus::Connected,
            },
            running: u32::try_from(worker.held.len()).unwrap_or(u32::MAX),
            free: worker.takes(false),
            heard: worker.heard,
        };
        self.workers.iter().map(view).collect()
    }
}
