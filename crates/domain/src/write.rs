//! Writes: what must be durable before anything else may happen.

use crate::{ClassKey, Epoch, Frame, Progress, Stamp, StateWord, Task, TaskId, UnixMillis, WorkerId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A durable change. The engine makes them; a store applies them in order and never decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// A new task, or the first row of an array's member, whose spec is the array's. The row key of what isn't a member must
    /// be new as well: a clash makes the whole batch fail, definitely.
    Insert {
        /// The task.
        task: Arc<Task>,
        /// Its class.
        class: Arc<ClassKey>,
    },
    /// A task as it stands now, spec and entry excepted, which never change.
    Update(Arc<Task>),
    /// Entries of an array's members from this rank on.
    Entries {
        /// The array; its row is written in the same batch.
        array: TaskId,
        /// The rank of the first.
        first: u64,
        /// In the order of ranks.
        entries: Vec<Arc<str>>,
    },
    /// All rows of this array's members that are pending become cancelled, as [`Task::close`] says.
    Close {
        /// The array.
        array: TaskId,
        /// Since when.
        at: UnixMillis,
    },
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
    /// A queue is paused, or no longer.
    Paused {
        /// Its name.
        queue: String,
        /// Or no longer.
        on: bool,
    },
    /// A worker shall take nothing new, or may again.
    Drained {
        /// Which.
        worker: WorkerId,
        /// Or may again.
        on: bool,
    },
}

/// A change of the number of tasks of a class in a state. Members count, arrays don't.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Which class.
    pub class: Arc<ClassKey>,
    /// Which state.
    pub word: StateWord,
    /// More or fewer, never 0.
    pub by: i64,
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
    /// How the writes change the numbers of tasks; each class and state at most once.
    pub tallies: Vec<Tally>,
    /// The highest `ready_seq` given so far.
    pub ready_seq: u64,
}
