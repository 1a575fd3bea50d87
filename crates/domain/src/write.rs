//! Writes: what must be durable before anything else may happen.

use crate::{Epoch, Frame, Progress, Stamp, Task, TaskId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A durable change. The engine makes them; a store applies them in order and never decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// A new task. Its row key must be new as well: a clash makes the whole batch fail, definitely.
    Insert(Arc<Task>),
    /// A task as it stands now, spec excepted, which never changes.
    Update(Arc<Task>),
    /// A progress event; other events follow from the task's record.
    Progressed {
        /// Whose.
        task: TaskId,
        /// The event.
        stamp: Stamp,
        /// Of which attempt.
        attempt: u32,
        /// What it said.
        progress: Progress,
    },
    /// The last frames of an attempt, which travelled with its exit report. In the story after event `after`.
    Tail {
        /// The number of the last event before them.
        after: u64,
        /// The frames, in order.
        frames: Vec<Frame>,
    },
    /// Handler names offered by a worker for the first time in this store (the demo handler keeps off them).
    Offered(BTreeSet<String>),
}

impl Write {
    /// The task it changes, if it is one.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Insert(task) | Self::Update(task) => Some(task.id),
            Self::Progressed { task, .. } => Some(*task),
            Self::Tail { frames, .. } => frames.first().map(|f| f.attempt.task),
            Self::Offered(_) => None,
        }
    }
}

/// The number of a commit in its store, from 1: the watermark of GUARANTEES G12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Commit(pub u64);

/// What one transaction makes durable. It must fail, definitely, if `epoch` is not the store's current one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The reign in which it was decided.
    pub epoch: Epoch,
    /// In order. May be empty: then it only proves that the epoch is current (GUARANTEES G5).
    pub writes: Vec<Write>,
}
