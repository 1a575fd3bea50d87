//! Why a task waits: one code a way of waiting, the same on every surface.

use crate::{UnixMillis, WorkerId};

/// Why a task isn't running right now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WaitReason {
    /// Other tasks of its class come first.
    Queued {
        /// How many.
        behind: u64,
    },
    /// It is next, but all workers that match are busy.
    NoFreeSlot {
        /// How many match.
        workers: usize,
    },
    /// Nobody is connected.
    NoWorker,
    /// Workers are connected; this requirement fails on all of those that the former ones left.
    NoMatch {
        /// The requirement, in words: `label gpu=a100`, `handler resize`.
        requirement: String,
        /// On how many connected workers it fails.
        workers: usize,
    },
    /// The worker it is pinned to is not connected.
    WorkerAway(WorkerId),
    /// After a failed attempt.
    BackingOff {
        /// Until when, by the scheduler's wall clock.
        until: UnixMillis,
    },
    /// It runs on a worker that is out of contact.
    OutOfContact(WorkerId),
}

impl WaitReason {
    /// The code: stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::NoFreeSlot { .. } => "no_free_slot",
            Self::NoWorker => "no_worker",
            Self::NoMatch { .. } => "no_match",
            Self::WorkerAway(_) => "worker_away",
            Self::BackingOff { .. } => "backing_off",
            Self::OutOfContact(_) => "worker_out_of_contact",
        }
    }

    /// The text: for people.
    pub fn text(&self) -> String {
        match self {
            Self::Queued { behind } => format!("queued behind {behind}"),
            Self::NoFreeSlot { workers } => format!("next in its queue; no free slot on {workers} matching worker(s)"),
            Self::NoWorker => "no worker is connected".into(),
            Self::NoMatch { requirement, workers } => format!("no worker has {requirement} ({workers} connected)"),
            Self::WorkerAway(worker) => format!("worker {worker} is not connected"),
            Self::BackingOff { until } => format!("backing off until {} (Unix ms)", until.0),
            Self::OutOfContact(worker) => format!("worker {worker} is out of contact"),
        }
    }
}
