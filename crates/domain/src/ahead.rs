//! Reading ahead: memory holds a window of what waits, the store the rest (PROTOCOL P4).
//!
//! Answers see what was handed to the writer before they were asked for, and arrive as inputs in the order of the writer's
//! work; the engine ignores tasks that it holds.

use crate::{ClassKey, Found, TaskId};
use std::sync::Arc;

/// A place in a class. Equal `ready_seq`s are a task and its retries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// Assigned by the engine.
    pub ready_seq: u64,
    /// Whose; an array's own id stands for its next member.
    pub id: TaskId,
}

/// A place among tasks that wait for time, the earliest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct WaitPlace {
    /// When it is due, in Unix milliseconds by the clock that set it.
    pub due_ms: i64,
    /// Whose.
    pub id: TaskId,
}

/// What the engine wants to be read while it goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Want {
    /// Classes that have queued tasks, a page of them.
    Classes {
        /// Behind this place, which an answer gave; 0: from the first.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// Queued tasks of a class, in the order of their places; of arrays the next member's.
    Backlog {
        /// Which class.
        class: Arc<ClassKey>,
        /// Behind this place; `None`: from the first.
        after: Option<Place>,
        /// At most so many.
        limit: usize,
    },
    /// Tasks that back off or are delayed, the earliest due first.
    Waiting {
        /// Behind this place; `None`: from the first.
        after: Option<WaitPlace>,
        /// At most so many.
        limit: usize,
    },
    /// An array's members from a rank on: which have rows, and their entries.
    Members {
        /// Which array.
        array: TaskId,
        /// From this rank on.
        from: u64,
        /// So many ranks.
        limit: usize,
    },
}

/// The answer to a [`Want`], whose place it repeats: an answer to a question that is no longer asked is dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ahead {
    /// Classes with queued tasks.
    Classes {
        /// Some of them.
        classes: Vec<Arc<ClassKey>>,
        /// Where the next page begins; `None`: these were the last.
        next: Option<u64>,
    },
    /// Queued tasks of a class.
    Backlog {
        /// Which class.
        class: Arc<ClassKey>,
        /// As asked.
        after: Option<Place>,
        /// In the order of their places; all have rows.
        found: Vec<Found>,
        /// More follow.
        more: bool,
    },
    /// Tasks that wait for time.
    Waiting {
        /// As asked.
        after: Option<WaitPlace>,
        /// The earliest due first; all have rows.
        found: Vec<Found>,
        /// More follow.
        more: bool,
    },
    /// Members of an array.
    Members {
        /// Which array.
        array: TaskId,
        /// As asked.
        from: u64,
        /// What is said holds for ranks below this.
        to: u64,
        /// Ranks in between that have rows.
        early: Vec<u64>,
        /// The entries of all ranks in between, in order; empty if the array has none.
        entries: Vec<Arc<str>>,
    },
}
