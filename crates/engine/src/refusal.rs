//! Refusals: reports that don't count, and why. They are acknowledged all the same: nobody shall say them for ever.

use crate::Engine;
use domain::{AttemptId, WorkerId};

/// Why a report didn't count (GUARANTEES G4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Refusal {
    /// The attempt is over, or never was: the task ended, or another attempt of it is under way.
    Over,
    /// Another worker holds the attempt.
    OtherWorker,
    /// The worker of that name held it, but in another life.
    OtherIncarnation,
    /// A worker came back with an attempt that had been given up, and was told to kill it.
    GivenUp,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Over, Self::OtherWorker, Self::OtherIncarnation, Self::GivenUp];

    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::OtherWorker => "other_worker",
            Self::OtherIncarnation => "other_incarnation",
            Self::GivenUp => "given_up",
        }
    }
}

/// How many reports were refused, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Counts one.
    pub(crate) fn count(&mut self, why: Refusal) {
        for (n, _) in self.0.iter_mut().zip(Refusal::ALL).filter(|(_, refusal)| *refusal == why) {
            *n += 1;
        }
    }

    /// Each reason with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.into_iter().zip(self.0)
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Engine {
    /// Why what this worker says of the attempt doesn't count; `None`: it counts. Only the incarnation that holds an
    /// attempt speaks for it (GUARANTEES G4).
    pub(crate) fn refusal(&self, worker: &WorkerId, attempt: AttemptId) -> Option<Refusal> {
        let live = self.tasks.get(&attempt.task).and_then(|r| r.task.state.live()).filter(|a| a.no == attempt.no);
        let Some(live) = live else { return Some(Refusal::Over) };
        if live.worker != *worker {
            return Some(Refusal::OtherWorker);
        }
        let same = self.workers.get(worker).is_some_and(|w| w.hello.incarnation == live.incarnation);
        (!same).then_some(Refusal::OtherIncarnation)
    }
}
