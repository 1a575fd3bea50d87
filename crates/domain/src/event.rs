//! What happened to a task, with its number.

use crate::{Ending, Final, Stamp, TaskId, UnixMillis, WorkerId};

/// How far an attempt says it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// At most [`crate::limits::MESSAGE_CHARS`] characters.
    pub message: String,
}

/// One event of a task's story. It is durable before anybody sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose.
    pub task: TaskId,
    /// Its number and time. Numbers run 1, 2, … in each task without gaps.
    pub stamp: Stamp,
    /// The attempt it belongs to; 0 before the first.
    pub attempt: u32,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// The task was accepted.
    Accepted,
    /// The first member of an array was given to a worker.
    Begun,
    /// An attempt was given to this worker.
    Dispatched(WorkerId),
    /// It started there.
    Started(WorkerId),
    /// It said how far it is.
    Progressed(Progress),
    /// Cancel was accepted while it ran.
    CancelRequested,
    /// An attempt ended and the task goes on: at once, or after back-off until the time given.
    AttemptEnded(Ending, Option<UnixMillis>),
    /// The end, with the exit code to show ([`crate::Exit::code`]; 0 for completed, −1 without an exit).
    Finished(Final, i32),
}

impl EventKind {
    /// Whether nothing follows.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Finished(..))
    }
}
