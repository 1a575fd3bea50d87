//! Facts: what the engine is told from the store, never fetching anything itself (PROTOCOL P4.7).

use crate::{Counts, Task, TaskId, WorkerId};
use std::collections::BTreeSet;

/// What the engine starts from: in proportion to what runs, not to what waits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// Every task with an attempt under way.
    pub tasks: Vec<Task>,
    /// The arrays of the members among `tasks`, each once.
    pub arrays: Vec<Task>,
    /// The highest `ready_seq` ever given.
    pub ready_seq: u64,
    /// Handler names that any worker has ever offered.
    pub offered: BTreeSet<String>,
    /// All tasks by state: members count, arrays don't.
    pub counts: Counts,
    /// Queues that are paused.
    pub paused: BTreeSet<String>,
    /// Workers that shall take nothing new.
    pub draining: BTreeSet<WorkerId>,
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
    /// What there is.
    pub found: Option<Found>,
}

/// A task as the store has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// It.
    pub task: Task,
    /// Whether it has a row: a member that nothing has happened to is computed from its array.
    pub row: bool,
    /// The array of a member.
    pub array: Option<Task>,
}
