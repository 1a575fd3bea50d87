//! One attempt as this worker holds it, and the memory of those it held.

use crate::frames::Spool;
use domain::{AttemptId, HeldAttempt, HeldPhase, Monotonic, Progress, Start, Totals, limits};
use std::collections::{BTreeSet, VecDeque};

/// How many attempts that are gone are remembered, so that a start that arrives twice starts nothing. An attempt is
/// ordered once in a session and its number is never used again, so this only has to cover what is under way.
const REMEMBERED: usize = 16 * 1024;

/// Progress reports of one attempt that aren't acknowledged, at most: bounds what is said again after a reconnect.
const PROGRESS_UNDER_WAY: u32 = 16;

/// How far an attempt is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Received, waiting for a slot.
    Queued(Start),
    /// Handed over to be started; takes a slot.
    Running,
    /// Its last report is made.
    Ended,
}

/// An attempt that this worker holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub phase: Phase,
    /// Somebody was told to start it, and must be told when it is over.
    pub executed: bool,
    /// That it started has been reported.
    pub started_said: bool,
    /// The scheduler knows that it started.
    pub started_stored: bool,
    /// The scheduler knows how it ended.
    pub end_stored: bool,
    pub progress: Pacing,
    pub totals: Totals,
    pub spool: Spool,
}

impl Held {
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            executed: false,
            started_said: false,
            started_stored: false,
            end_stored: false,
            progress: Pacing::default(),
            totals: Totals::default(),
            spool: Spool::default(),
        }
    }

    /// As hello lists it.
    pub fn listed(&self, attempt: AttemptId) -> HeldAttempt {
        let phase = match self.phase {
            Phase::Queued(_) => HeldPhase::Prefetched,
            Phase::Running => HeldPhase::Running,
            Phase::Ended => HeldPhase::Exited,
        };
        HeldAttempt { attempt, phase, totals: self.totals }
    }

    pub fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }
}

/// Progress of one attempt on its way: the next report goes out when the one before is acknowledged, or after a while if
/// the acknowledgement is held up by another attempt's output. In between only the latest is kept.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    under_way: u32,
    said: Monotonic,
    waiting: Option<Progress>,
}

impl Pacing {
    /// Takes a new one.
    pub fn put(&mut self, progress: Progress) {
        self.waiting = Some(progress);
    }

    /// One was acknowledged.
    pub fn acknowledged(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The latest, if it is time to say it.
    pub fn next(&mut self, now: Monotonic) -> Option<Progress> {
        let late = now.since(self.said) >= limits::PROGRESS_EVERY && self.under_way < PROGRESS_UNDER_WAY;
        if self.under_way > 0 && !late {
            return None;
        }
        let next = self.waiting.take()?;
        self.under_way += 1;
        self.said = now;
        Some(next)
    }

    /// The latest, if it wasn't said: nothing follows.
    pub fn last(&mut self) -> Option<Progress> {
        self.waiting.take()
    }
}

/// The attempts that were here and are gone.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    order: VecDeque<AttemptId>,
    set: BTreeSet<AttemptId>,
}

impl Gone {
    pub fn remember(&mut self, attempt: AttemptId) {
        if self.set.insert(attempt) {
            self.order.push_back(attempt);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.set.contains(&attempt)
    }
}
