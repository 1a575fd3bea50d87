//! Workers: what they say on arrival, what they report, and how they are shown.

use crate::spec::{check_labels, check_word};
use crate::{AttemptId, Epoch, Error, Exit, Incarnation, Progress, Result, Tail, Totals, UnixMillis, WorkerId, limits};
use std::collections::{BTreeMap, BTreeSet};

/// How a worker ends process trees, and so how far GUARANTEES G8 holds on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KillLevel {
    /// `cgroup.kill` on a v2 leaf.
    CgroupV2,
    /// Killing all members of a v1 pids leaf until it is empty.
    CgroupV1,
    /// A walk over /proc.
    BestEffort,
}

impl KillLevel {
    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CgroupV2 => "cgroup-v2",
            Self::CgroupV1 => "cgroup-v1",
            Self::BestEffort => "best-effort",
        }
    }
    /// From what is shown; anything unknown promises least.
    pub fn parse(text: &str) -> Self {
        match text {
            "cgroup-v2" => Self::CgroupV2,
            "cgroup-v1" => Self::CgroupV1,
            _ => Self::BestEffort,
        }
    }
}

/// A worker's first message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Its name.
    pub worker: WorkerId,
    /// Its data directory on one boot.
    pub incarnation: Incarnation,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it runs commands.
    pub shell: bool,
    /// Whether it has a Docker engine.
    pub docker: bool,
    /// The handlers it offers.
    pub handlers: BTreeSet<String>,
    /// Whether it takes tasks whose handler nobody has ever offered, to echo them.
    pub demo: bool,
    /// When it opened this session, in nanoseconds since the machine started: later sessions of one incarnation have higher
    /// numbers. 0 from workers that don't say: theirs count in the order of their arrival.
    pub opened: u64,
    /// The highest epoch it has seen.
    pub highest_epoch: Epoch,
    /// What it holds from earlier sessions.
    pub held: Vec<HeldAttempt>,
    /// How many tasks it runs at once, for display.
    pub slots: u32,
    /// Where it listens, for display.
    pub address: String,
    /// How it ends process trees; `None` if it can't kill at all (it speaks only the older dialect).
    pub kill_level: Option<KillLevel>,
    /// Its build, for display.
    pub version: String,
}

impl Hello {
    /// Checks names and sizes.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`], naming the field.
    pub fn check(&self) -> Result<()> {
        self.worker.check()?;
        if self.incarnation.0.is_empty() || self.incarnation.0.len() > limits::WORD_CHARS {
            return Err(Error::field("incarnation", "must be 1 to 200 bytes"));
        }
        check_labels("labels", &self.labels)?;
        if self.handlers.len() > limits::HANDLERS {
            return Err(Error::field("handlers", format!("has over {} entries", limits::HANDLERS)));
        }
        if self.handlers.iter().any(|h| h.is_empty() || h.chars().count() > limits::NAME_CHARS) {
            return Err(Error::field("handlers", "must be 1 to 200 characters each"));
        }
        check_word("address", &self.address, limits::WORD_CHARS, false)?;
        check_word("version", &self.version, limits::WORD_CHARS, false)?;
        if self.slots > limits::SLOTS {
            return Err(Error::field("slots", format!("is over {}", limits::SLOTS)));
        }
        if self.held.len() > limits::HELD {
            return Err(Error::field("held", format!("has over {} entries", limits::HELD)));
        }
        Ok(())
    }
}

/// An attempt that a worker says it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// How far it is.
    pub phase: HeldPhase,
    /// Its output so far.
    pub totals: Totals,
}

/// How far a held attempt is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldPhase {
    /// Received, not started.
    Prefetched,
    /// Started.
    Running,
    /// Ended; the report follows.
    Exited,
}

/// Capacity granted to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Starts it takes in all since its welcome. Decreases only when the worker takes nothing new any more.
    pub starts: u64,
    /// How many of the open ones go beyond free slots.
    pub prefetch: u32,
}

/// What a worker says about an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// From 1 in each session, growing. After a broken session, what was not acknowledged is reported again.
    pub number: u64,
    /// Whose.
    pub attempt: AttemptId,
    /// What.
    pub kind: ReportKind,
}

/// What a worker says about an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReportKind {
    /// Its process or handler runs.
    Started,
    /// How far it is.
    Progressed(Progress),
    /// It ended.
    Exited {
        /// How.
        exit: Exit,
        /// Its output in all.
        totals: Totals,
        /// The last frames, if they didn't travel on their own.
        tail: Tail,
        /// A handler's final bytes.
        result: Vec<u8>,
        /// Microseconds from start to end.
        run_us: u64,
        /// Whether every process of its tree is proved gone.
        tree_gone: bool,
    },
    /// It will not be started.
    Refused(String),
    /// It was taken back before it started.
    Recalled,
    /// Its keeper died: nobody knows how it ended; what was left of it is swept.
    Lost,
}

/// Whether a worker can be given work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum WorkerStatus {
    /// In contact.
    Connected,
    /// In contact, takes nothing new.
    Draining,
    /// Out of contact.
    Disconnected,
}

impl WorkerStatus {
    /// As shown on all surfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Draining => "draining",
            Self::Disconnected => "disconnected",
        }
    }
}

/// A worker as readers see it: at most 100 ms old (PROTOCOL P3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerSnapshot {
    /// What it said on arrival, without what it held.
    pub hello: Hello,
    /// In contact or not.
    pub status: WorkerStatus,
    /// Attempts it holds.
    pub running: u32,
    /// Whether it would take a task now.
    pub free: bool,
    /// When it was last heard of.
    pub heard: UnixMillis,
}
