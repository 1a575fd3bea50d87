//! The durable store of tasks: one trait, two stores, one conformance suite.
//!
//! A store applies writes in order, in one transaction a batch, and never decides anything.

pub mod ballast;
pub mod memory;
pub mod sqlite;
pub mod writer;

#[cfg(test)]
mod conformance;
mod record;
mod spelling;
mod waiting;

use domain::{Ahead, Batch, Commit, Counts, Epoch, Event, Fact, Frame, Loaded, Need, Page, PageRequest, Task, TaskId};
use domain::{Token, TokenId, UnixMillis, Want};
use std::{fmt, sync::Arc, time::Duration};

/// The writing side: owned by one thread.
pub trait Store: Send {
    /// Begins a new reign: takes the next epoch, durably. Commits of older epochs fail from now on.
    fn begin(&mut self) -> Result<Opened, Failure>;
    /// An operator accepts that commits are lost: those that are remembered, but that the store doesn't have. Epochs and commits
    /// go on far above whatever anybody remembers, and what is lost is written down.
    fn accept_loss(&mut self, at: UnixMillis, remembered: &[Watermark]) -> Result<(), Failure>;
    /// Keeps what somebody else remembers of this store, for later starts: whether it is behind must not hang on who is
    /// connected.
    fn remember(&mut self, remembered: &Watermark);
    /// What runs, and what else the engine starts from. Costs nothing for what waits.
    fn load(&mut self) -> Result<Loaded, Failure>;
    /// Makes a batch durable: it is fsynced when this returns. An empty batch still proves that the epoch is current.
    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure>;
    /// Fails, definitely, if `epoch` is not current. Asked after reads, it says that nothing of a later reign was among them:
    /// whoever decides by his own books must not mix them with those of another.
    fn fence(&mut self, epoch: Epoch) -> Result<(), Failure>;
    /// Looks up what the engine needs and doesn't hold.
    fn facts(&mut self, needs: &[Need]) -> Result<Vec<Fact>, Failure>;
    /// Reads ahead for the engine.
    fn ahead(&mut self, want: &Want) -> Result<Ahead, Failure>;
    /// Does a step of retention. Fails, definitely, if `epoch` is not current.
    fn expire(&mut self, epoch: Epoch, step: &Expiry) -> Result<Expired, Failure>;
    /// As [`Store::commit`], with a step of retention in the same transaction: it costs no sync of its own. The step may take
    /// longer than it says, a quarter of what the batch itself takes.
    fn commit_expiring(&mut self, batch: &Batch, step: &Expiry) -> Result<(Commit, Expired), Failure>;
    /// Keeps a token, in the place of the one with its id if there is one, and takes these out; durable when it returns.
    /// Fails, definitely, if `epoch` is not current.
    fn keep_token(&mut self, epoch: Epoch, token: &Token, remove: &[TokenId]) -> Result<Commit, Failure>;
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
    /// How many queued tasks of this task's class have an earlier place, members of arrays included; counts up to `limit`.
    fn behind(&self, task: &Task, limit: u64) -> Result<u64, Failure>;
    /// How many tasks are in each state; members count, arrays don't.
    fn counts(&self) -> Result<Counts, Failure>;
    /// Queues that have tasks or are paused, by name.
    fn queues(&self) -> Result<Vec<Queue>, Failure>;
    /// Indexes of an array's members that failed or timed out, ascending.
    fn failed_members(&self, array: TaskId) -> Result<Vec<u32>, Failure>;
    /// All tokens, by their time.
    fn tokens(&self) -> Result<Vec<Token>, Failure>;
    /// The entries of these ranks of an array, in the order asked; empty if the array has none.
    fn entries(&self, array: TaskId, ranks: &[u64]) -> Result<Vec<Arc<str>>, Failure>;
}

/// A queue as readers see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its tasks by state; members count, arrays don't.
    pub counts: Counts,
    /// Nothing of it is given to workers.
    pub paused: bool,
}

/// A step of retention: deletes tasks that became final before a moment, with all that belongs to them, oldest tasks first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// Tasks that became final before this go.
    pub before: UnixMillis,
    /// It begins behind this place; 0: with the oldest task.
    pub after: i64,
    /// It looks at no more than so many rows; at one at least.
    pub limit: usize,
    /// It stops after so long, as soon as it has got on at all.
    pub time: Duration,
}

/// What one step of [`Store::expire`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expired {
    /// Tasks deleted; members count, arrays don't.
    pub tasks: u64,
    /// How many of them were in each state.
    pub counts: Counts,
    /// Where the next step begins; `None`: there is nothing behind this that is old enough.
    pub next: Option<i64>,
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
    /// What is remembered beside the store as acknowledged; more than the store has, if it lost something.
    pub remembered: Option<Watermark>,
    /// The store was put in place of another one by a restore, and nobody has accepted that it may be behind: what is
    /// known of the backup, for people.
    pub restored: Option<String>,
    /// Losses that were accepted, oldest first.
    pub losses: Vec<Loss>,
    /// With which this store's schedulers seal what they tell others of it.
    pub seal: SealKey,
}

/// A secret of the store, made with it and never told.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(pub [u8; 32]);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

/// What somebody remembers of a store: the last that was acknowledged to him.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watermark {
    /// Which store.
    pub store_id: Arc<str>,
    /// The epoch in which it was.
    pub epoch: Epoch,
    /// The commit.
    pub commit: Commit,
}

/// Commits that were acknowledged once, and are gone for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Those above this one …
    pub after: Commit,
    /// … up to this one. Higher than any that was ever given.
    pub upto: Commit,
    /// When an operator accepted it.
    pub at: UnixMillis,
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
