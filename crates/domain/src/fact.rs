//! Facts: what the engine is told from the store, never fetching anything itself (PROTOCOL P4.7).

use crate::{Task, TaskId};
use std::collections::BTreeSet;

/// What the engine starts from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// Every task that isn't final, by `ready_seq`.
    pub tasks: Vec<Task>,
    /// The highest `ready_seq` ever given.
    pub ready_seq: u64,
    /// Handler names that any worker has ever offered.
    pub offered: BTreeSet<String>,
}

/// What the engine asks for before it handles an input.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Need {
    /// The task of this id.
    Task(TaskId),
    /// The task that was submitted with this idempotency key.
    Key([u8; 16]),
}

/// The answer to a need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What was asked.
    pub need: Need,
    /// The task, if there is one.
    pub task: Option<Task>,
}
