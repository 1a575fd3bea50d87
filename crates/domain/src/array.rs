//! Arrays: many tasks with one spec, as one row until a member runs (PROTOCOL P5).

use crate::{Ranges, Stamp, State, StateWord, Task, TaskId, UnixMillis};
use std::sync::Arc;

/// What makes a spec that of an array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArraySpec {
    /// The members' indexes.
    pub ranges: Ranges,
    /// Each member has an entry, found in `BATON_ENTRY`; they are kept apart from the spec ([`crate::Write::Entries`]).
    pub entries: bool,
}

/// Tasks by state word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts([u64; StateWord::COUNT]);

impl Counts {
    /// How many are in this state.
    pub fn get(&self, word: StateWord) -> u64 {
        self.0.get(usize::from(word.code())).copied().unwrap_or(0)
    }

    /// Counts `by` more.
    pub fn add(&mut self, word: StateWord, by: u64) {
        if let Some(n) = self.0.get_mut(usize::from(word.code())) {
            *n += by;
        }
    }

    /// Counts `by` fewer, or more if it is negative.
    ///
    /// # Panics
    /// If that is fewer than none: a count that is wrong once is wrong for ever.
    pub fn change(&mut self, word: StateWord, by: i64) {
        if let Some(n) = self.0.get_mut(usize::from(word.code())) {
            let changed = n.checked_add_signed(by);
            assert!(changed.is_some(), "{n} {} tasks and {by}", word.as_str());
            *n = changed.unwrap_or(0);
        }
    }

    /// All words with their numbers, in the order of a task's life.
    pub fn iter(&self) -> impl Iterator<Item = (StateWord, u64)> + '_ {
        StateWord::ALL.into_iter().map(|word| (word, self.get(word)))
    }

    /// How many there are for which this holds.
    pub fn sum(&self, which: impl Fn(StateWord) -> bool) -> u64 {
        self.iter().filter(|(word, _)| which(*word)).map(|(_, n)| n).sum()
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.sum(|_| true)
    }
}

/// An array's books on its members. Those below `next` have rows of their own; of the others only `early` ones do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Members {
    /// The rank of the first member that has not had its turn.
    pub next: u64,
    /// How many from `next` on have a row all the same: they were cancelled before their turn.
    pub early: u64,
    /// All members by state. Those without a row count as the array's own pending state or, once it is closed, as cancelled.
    pub counts: Counts,
    /// When the first member was dispatched.
    pub begun: Option<Stamp>,
    /// When the array was cancelled: all members that were pending then, with a row or without, are cancelled since.
    pub closed: Option<UnixMillis>,
}

impl Members {
    /// The books of a new array whose own state has this word.
    pub fn new(len: u64, word: StateWord) -> Self {
        let mut counts = Counts::default();
        counts.add(word, len);
        Self { next: 0, early: 0, counts, begun: None, closed: None }
    }

    /// How many members have no row, of `len`.
    pub fn rest(&self, len: u64) -> u64 {
        len.saturating_sub(self.next).saturating_sub(self.early)
    }
}

impl Task {
    /// The member of this array with this index as it is while it has no row; `None` if it isn't an array or has no such
    /// member. `entry` is what the store has for it.
    pub fn member(&self, index: u32, entry: Option<Arc<str>>) -> Option<Self> {
        let (spec, books) = (self.spec.array.as_ref()?, self.array.as_ref()?);
        let rank = spec.ranges.rank(index)?;
        let mut member = Self {
            id: self.id.member(index),
            spec: Arc::clone(&self.spec),
            ready_seq: self.first_place() + rank,
            accepted: self.accepted,
            state: match &self.state {
                State::Pending(wait) => State::Pending(*wait),
                State::Begun { .. } | State::Final(_) => State::Pending(crate::Wait::Queued),
                // An array has no attempts of its own.
                State::Dispatched(_) | State::Running(_) | State::Cancelling(_) => return None,
            },
            ended: Vec::new(),
            backed_off: Vec::new(),
            cancel: None,
            finished: None,
            events: 1,
            progress: crate::Progress::default(),
            result: Vec::new(),
            updated: self.accepted.at,
            array: None,
            entry,
            retry_of: self.retry_of.map(|of| of.whole().member(index)),
        };
        member.close(books.closed);
        Some(member)
    }

    /// Applies an array's cancellation to a member's record, which may be older: pending members are cancelled since then.
    pub fn close(&mut self, closed: Option<UnixMillis>) {
        let (Some(at), State::Pending(_)) = (closed, &self.state) else { return };
        let stamp = self.stamp(at);
        self.state = State::Final(crate::Final::Cancelled { unconfirmed: None });
        self.finished = Some(stamp);
    }

    /// The place of the member of rank 0: an array's own place is that of its next member.
    fn first_place(&self) -> u64 {
        self.ready_seq.saturating_sub(self.array.as_ref().map_or(0, |books| books.next))
    }

    /// The rank of one of this array's members.
    pub fn rank(&self, member: TaskId) -> Option<u64> {
        self.spec.array.as_ref()?.ranges.rank(member.index()?)
    }

    /// How many members it has; 1 if it isn't an array.
    pub fn members(&self) -> u64 {
        if self.array.is_none() { 1 } else { self.spec.array.as_ref().map_or(1, |array| array.ranges.len()) }
    }

    /// How many tasks wait as this one: an array's members that have no row, or one.
    pub fn rest(&self) -> u64 {
        self.array.as_ref().map_or(1, |books| books.rest(self.members()))
    }

    /// Whether members of it wait for their turn.
    pub fn has_rest(&self) -> bool {
        self.array.as_ref().is_some_and(|books| books.closed.is_none() && books.rest(self.members()) > 0)
    }
}
