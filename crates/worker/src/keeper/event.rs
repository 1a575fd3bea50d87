//! What the worker and its keeper say to each other, in the worker's terms.

use super::custody::Custody;
use domain::{AttemptId, Exit, Frame, KillLevel, Progress, ShellRun, Totals, UnixMillis};
use std::{collections::BTreeMap, time::Duration};

/// How much output a keeper holds that nobody takes (PROTOCOL P2), in memory and on disk together. What isn't output –
/// exit codes, results, progress – is never counted, and always kept in memory: no full disk can touch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpoolLimits {
    /// Of one attempt.
    pub attempt_bytes: u64,
    /// Of all attempts.
    pub all_bytes: u64,
    /// What happens beyond it, and when the disk is full.
    pub full: SpoolFull,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self { attempt_bytes: 256 << 20, all_bytes: 4 << 30, full: SpoolFull::Drop }
    }
}

/// What happens to output that finds no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum SpoolFull {
    /// It is dropped; a mark with the number of bytes takes its place.
    #[default]
    Drop,
    /// Its task waits, as in front of a full pipe.
    Block,
}

/// What to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launch {
    /// Whose. An attempt that the keeper holds already is not started again.
    pub attempt: AttemptId,
    /// What.
    pub command: LaunchCommand,
    /// The entry of an array's member: it finds it as `BATON_ENTRY`.
    pub entry: Option<String>,
    /// How long it may run, measured in the keeper; `None`: without limit.
    pub timeout: Option<Duration>,
    /// From SIGTERM to SIGKILL when the timeout is over.
    pub grace: Duration,
    /// As whom; `None`: as the keeper. Needs a keeper that [`HeldByKeeper::switches_user`].
    pub user: Option<TaskUser>,
}

/// A user, with all groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskUser {
    /// The user's number.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
    /// Those of all groups.
    pub groups: Vec<u32>,
}

/// A command, in one of the two ways in which a worker runs one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LaunchCommand {
    /// A shell task: both streams are output.
    Shell(ShellRun),
    /// A handler of the worker: a line for `/bin/sh -c` that reads `payload` and writes the result (at most
    /// [`domain::limits::RESULT_BYTES`], else it is a handler error) to stdout; stderr is output.
    Handler {
        /// The line.
        command: String,
        /// Its stdin.
        payload: Vec<u8>,
        /// Added to its environment.
        env: BTreeMap<String, String>,
    },
}

/// What a keeper tells its worker. For each attempt: `Started` (unless it could not be started), then `Frame`s and
/// `Progressed`, then, after the last frame, `Exited`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeeperEvent {
    /// Always the first. All that was not released of the attempts in it follows as if it happened now: `Started`,
    /// the unreleased frames, the last progress, `Exited`.
    Held(HeldByKeeper),
    /// Its process runs.
    Started {
        /// Whose.
        attempt: AttemptId,
        /// Since when, by the wall clock.
        at: UnixMillis,
    },
    /// A piece of its output. The keeper holds it until [`super::Keeper::release`].
    Frame(Frame),
    /// How far it says it is; if it says so faster than the worker listens, only the latest.
    Progressed {
        /// Whose.
        attempt: AttemptId,
        /// What it said.
        progress: Progress,
    },
    /// It has run for a while: what can be done for it if the keeper dies. Not of all, and not where descriptors are
    /// short.
    Custody {
        /// Whose.
        attempt: AttemptId,
        /// What is needed for [`super::salvage`].
        custody: Custody,
    },
    /// It ended. The keeper holds this until [`super::Keeper::forget`].
    Exited(Exited),
    /// The keeper died or hung up, for this reason: nothing follows. What it left running is to be ended by
    /// [`super::sweep()`] and the attempts are lost, unless another [`super::Keeper::open`] finds them.
    Gone(String),
}

/// What a keeper holds when a worker arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldByKeeper {
    /// How it ends process trees.
    pub level: KillLevel,
    /// Its process id, for logs.
    pub pid: u32,
    /// Whether it is new enough to run commands as another user.
    pub switches_user: bool,
    /// In the order of their start.
    pub attempts: Vec<KeptAttempt>,
}

/// An attempt in the keeper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// Whether it has ended.
    pub exited: bool,
    /// Its output so far, released frames included.
    pub totals: Totals,
    /// Of these, what is released and will not be sent again. The bytes are 0 if its keeper is too old to say.
    pub released: Totals,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exited {
    /// Which.
    pub attempt: AttemptId,
    /// How.
    pub exit: Exit,
    /// Its output in all.
    pub totals: Totals,
    /// A handler's final bytes.
    pub result: Vec<u8>,
    /// Microseconds from its start to its end; 0 if it never started.
    pub run_us: u64,
    /// Whether every process of its tree is gone, as far as the kill level can tell.
    pub tree_gone: bool,
    /// When, by the wall clock.
    pub at: UnixMillis,
}
