//! Why a task waits: one code a way of waiting, the same on every surface.

use crate::{UnixMillis, WorkerId};

/// Why a task isn't running right now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WaitReason {
    /// Other tasks of its class come first.
    Queued {
        /// How many; counted up to [`WaitReason::BEHIND`].
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
    /// All workers that match take nothing new.
    Draining {
        /// How many match.
        workers: usize,
    },
    /// Its queue is paused.
    Paused {
        /// The queue.
        queue: String,
    },
    /// It is next, a worker has room for it, and it is being sent there.
    Starting,
    /// Not before a time that its submitter chose.
    Delayed {
        /// Until when, by the scheduler's wall clock.
        until: UnixMillis,
    },
    /// After a failed attempt.
    BackingOff {
        /// Until when, by the scheduler's wall clock.
        until: UnixMillis,
    },
    /// It runs on a worker that is out of contact.
    OutOfContact {
        /// Which.
        worker: WorkerId,
        /// Nothing will be concluded from that ([`crate::OnLost::Wait`]).
        waits: bool,
    },
}

impl WaitReason {
    /// Beyond so many "more than" has to do (PROTOCOL P4.8).
    pub const BEHIND: u64 = 10_000;

    /// All codes.
    pub const CODES: [&str; 11] = [
        "queued",
        "no_free_slot",
        "no_worker",
        "no_match",
        "worker_away",
        "workers_draining",
        "queue_paused",
        "starting",
        "delayed",
        "backing_off",
        "worker_out_of_contact",
    ];

    /// The code: stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::NoFreeSlot { .. } => "no_free_slot",
            Self::NoWorker => "no_worker",
            Self::NoMatch { .. } => "no_match",
            Self::WorkerAway(_) => "worker_away",
            Self::Draining { .. } => "workers_draining",
            Self::Paused { .. } => "queue_paused",
            Self::Starting => "starting",
            Self::Delayed { .. } => "delayed",
            Self::BackingOff { .. } => "backing_off",
            Self::OutOfContact { .. } => "worker_out_of_contact",
        }
    }

    /// The text: for people.
    pub fn text(&self) -> String {
        match self {
            Self::Queued { behind } if *behind > Self::BEHIND => format!("queued behind more than {}", Self::BEHIND),
            Self::Queued { behind } => format!("queued behind {behind}"),
            Self::NoFreeSlot { workers } => format!("next in its queue; no free slot on {workers} matching worker(s)"),
            Self::NoWorker => "no worker is connected".into(),
            Self::NoMatch { requirement, workers } => format!("no worker has {requirement} ({workers} connected)"),
            Self::WorkerAway(worker) => format!("worker {worker} is not connected"),
            Self::Draining { workers } => format!("all {workers} matching worker(s) are draining"),
            Self::Paused { queue } => format!("queue {queue} is paused"),
            Self::Starting => "next; being sent to a worker".into(),
            Self::Delayed { until } => format!("delayed until {} (Unix ms)", until.0),
            Self::BackingOff { until } => format!("backing off until {} (Unix ms)", until.0),
            Self::OutOfContact { worker, waits: false } => format!("worker {worker} is out of contact"),
            Self::OutOfContact { worker, waits: true } => {
                format!("worker {worker} is out of contact, and the task waits for it (on_lost: wait)")
            }
        }
    }
}
