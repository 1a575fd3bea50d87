//! The durable store of tasks: one trait, two stores, one conformance suite.
//!
//! A store applies writes in order, in one transaction a batch, and never decides anything.

pub mod memory;
pub mod sqlite;
pub mod writer;

#[cfg(test)]
mod conformance;
mod record;
mod spelling;

use domain::{Batch, Commit, Epoch, Event, Fact, Frame, Loaded, Need, Page, PageRequest, StateWord, Task, TaskId};
use std::{fmt, sync::Arc};

/// The writing side: owned by one thread.
pub trait Store: Send {
    /// Begins a new reign: takes the next epoch, durably. Commits of older epochs fail from now on.
    fn begin(&mut self) -> Result<Opened, Failure>;
    /// Everything that isn't final, and what else the engine starts from.
    fn load(&mut self) -> Result<Loaded, Failure>;
    /// Makes a batch durable: it is fsynced when this returns. An empty batch still proves that the epoch is current.
    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure>;
    /// Looks up what the engine needs and doesn't hold.
    fn facts(&mut self, needs: &[Need]) -> Result<Vec<Fact>, Failure>;
    /// A reader on the same data: sees what has been committed.
    fn reader(&self) -> Arc<dyn Reader>;
}

/// The reading side: shared, blocking; call it off the event loop.
pub trait Reader: Send + Sync {
    /// One task.
    fn task(&self, id: TaskId) -> Result<Option<Task>, Failure>;
    /// Ids of tasks named by a prefix or suffix of their hyphenated text, at most `limit`; `last` is the newest task.
    fn named(&self, text: &str, limit: usize) -> Result<Vec<TaskId>, Failure>;
    /// A page of tasks, newest first, without payload, stdin and result.
    fn list(&self, request: &PageRequest) -> Result<Page<Task>, Failure>;
    /// Progress events of a task with numbers above `after`, in order.
    fn progress(&self, task: TaskId, after: u64) -> Result<Vec<Event>, Failure>;
    /// The tails stored with results ([`domain::Write::Tail`]): (event they follow, frame), by attempt and frame.
    fn tails(&self, task: TaskId) -> Result<Vec<(u64, Frame)>, Failure>;
    /// How many queued tasks of this task's queue and priority have a smaller `ready_seq`; counts up to `limit`.
    fn ahead(&self, task: &Task, limit: u64) -> Result<u64, Failure>;
    /// How many tasks are in each state.
    fn counts(&self) -> Result<Vec<(StateWord, u64)>, Failure>;
}

/// What a reign starts with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Names the store, for ever.
    pub store_id: Arc<str>,
    /// The new epoch.
    pub epoch: Epoch,
    /// The last commit before it.
    pub commit: Commit,
}

/// Why a store could not do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing was changed: the reason is known and definite (a stale epoch, a clash, no room before COMMIT).
    Definite(Reason),
    /// COMMIT itself failed: the batch may be durable or not (GUARANTEES G6).
    Unknown(String),
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Another reign has begun.
    StaleEpoch,
    /// A new task's row key or idempotency key exists already.
    Clash,
    /// No room on the disk.
    Full,
    /// Something else, for the log.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definite(Reason::StaleEpoch) => f.write_str("another scheduler has taken over the store"),
            Self::Definite(Reason::Clash) => f.write_str("a task of that row key or idempotency key exists already"),
            Self::Definite(Reason::Full) => f.write_str("no room left on the store's disk"),
            Self::Definite(Reason::Other(text)) => write!(f, "store: {text}"),
            Self::Unknown(text) => write!(f, "outcome of the commit unknown: {text}"),
        }
    }
}

impl std::error::Error for Failure {}
