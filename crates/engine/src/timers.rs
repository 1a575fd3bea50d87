//! What waits for time, on the monotonic clock. A timer that has become pointless is noticed when it fires.

use crate::SessionId;
use domain::{AttemptId, Monotonic, WaitPlace, WorkerId};
use std::collections::BTreeMap;

/// What is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// A back-off or a delay is over.
    Due(WaitPlace),
    /// A session may have fallen silent.
    Silence(SessionId),
    /// A worker may have been away for too long: since the moment given.
    Lost(WorkerId, Monotonic),
    /// A session's worker may hold attempts that should have ended long ago.
    Overdue(SessionId),
    /// Progress that was held back may become an event.
    Progress(AttemptId),
    /// Attempts sent ahead to a worker may be stuck there.
    Prefetched(WorkerId),
    /// An attempt on a worker that can't be told to stop has run out of time.
    Timeout(AttemptId),
}

/// All timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<(Monotonic, u64), Timer>,
    last: u64,
}

impl Timers {
    pub fn set(&mut self, at: Monotonic, timer: Timer) {
        self.last += 1;
        self.due.insert((at, self.last), timer);
    }

    pub fn next(&self) -> Option<Monotonic> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub fn pop(&mut self, now: Monotonic) -> Option<Timer> {
        let entry = self.due.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        Some(entry.remove())
    }
}
