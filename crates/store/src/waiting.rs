//! Which rows wait, and where: both stores must agree on it.
//!
//! Must never look at anything but the task: what waits follows from its state.

use domain::{Members, State, StateWord, Task, Wait};

/// The place of a row that waits in its class's backlog: a queued task or member, or an array with members left.
pub(crate) fn ready(task: &Task) -> Option<u64> {
    let waits = match &task.state {
        State::Pending(Wait::Queued) => task.array.is_none() || task.has_rest(),
        State::Begun { cancelling } => !cancelling && task.has_rest(),
        State::Pending(Wait::BackingOff(_) | Wait::Delayed(_)) => false,
        State::Dispatched(_) | State::Running(_) | State::Cancelling(_) | State::Final(_) => false,
    };
    waits.then_some(task.ready_seq)
}

/// When a row that waits for time is due, or that waits for its first start no longer than that, in Unix milliseconds.
pub(crate) fn due_ms(task: &Task) -> Option<i64> {
    task.due().map(|due| due.at.0)
}

/// The place behind an array's last member's.
pub(crate) fn ends(task: &Task) -> Option<u64> {
    let Members { next, early: _, counts: _, begun: _, closed: _ } = task.array.as_ref()?;
    Some(task.ready_seq.saturating_sub(*next).saturating_add(task.members()))
}

/// How many members of an array have no row, and the state that they all are in.
pub(crate) fn rest(array: &Task) -> Option<(u64, StateWord)> {
    let (spec, books) = (array.spec.array.as_ref()?, array.array.as_ref()?);
    let n = books.rest(spec.ranges.len());
    let word = array.member(spec.ranges.index(books.next)?, None)?.state.word();
    (n > 0).then_some((n, word))
}

/// Whether a member without a row is computed from its array. Below `next` all had rows: retention has deleted it.
pub(crate) fn computed(array: &Task, rank: u64) -> bool {
    array.array.as_ref().is_some_and(|books| rank >= books.next && books.rest(array.members()) > 0)
}
