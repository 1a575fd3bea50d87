//! What readers ask for.

use crate::{FrameNo, StateWord, TaskId, WorkerId};
use std::{fmt, str::FromStr};

/// Which tasks a list shows. Empty fields: any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskFilter {
    /// One of these states.
    pub states: Vec<StateWord>,
    /// Last or now on this worker.
    pub worker: Option<WorkerId>,
    /// With `worker`: also what waits for it and was never on any.
    pub waiting: bool,
    /// Exactly this name.
    pub name: Option<String>,
    /// Exactly this queue.
    pub queue: Option<String>,
    /// Members of this array, highest index first, instead of tasks; `name` and `queue` mean nothing then.
    pub array: Option<TaskId>,
}

/// A place in a list, newest first: tasks with a smaller row key follow, or members with a smaller index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor(pub i64);

/// Which page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// Which tasks.
    pub filter: TaskFilter,
    /// After this place; `None`: from the newest.
    pub after: Option<Cursor>,
    /// At most so many, 1 to [`crate::limits::PAGE_TASKS`].
    pub limit: usize,
}

/// A page of a list. It may hold fewer items than asked for, even none, though more follow: what a page costs is bounded,
/// however rare the items are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

/// A place in a task's story: the last event, and the last frame after it (0: none).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct StoryId {
    /// Number of an event.
    pub event: u64,
    /// Number of a frame in its attempt; 0 for the event itself.
    pub frame: FrameNo,
}

impl fmt::Display for StoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.frame)
    }
}

impl FromStr for StoryId {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || crate::Error::field("after", "is not the id of an event (such as 4.17)");
        let (event, frame) = text.split_once('.').ok_or_else(bad)?;
        let number = |part: &str| part.parse().map_err(|_| bad());
        Ok(Self { event: number(event)?, frame: number(frame)? })
    }
}
