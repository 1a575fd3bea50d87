//! How a worker stops (PROTOCOL P6): the first signal detaches, the second ends the tasks.

use crate::{core::Core, executors::gone_is_told, keeper::KeeperEvent};
use session::Input;
use std::time::{Duration, Instant};

/// After the grace, so long for kills to be carried out, reported and acknowledged.
const MARGIN: Duration = Duration::from_secs(2);
/// While commands run, a second signal is waited for so long: a person may press Ctrl-C twice.
const SECOND_SIGNAL: Duration = Duration::from_millis(1_500);
/// A keeper that was told to end has so long for what it still has to write.
const KEEPER_ENDS: Duration = Duration::from_secs(2);

/// Whether and how this process stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leaving {
    /// It doesn't.
    No,
    /// The keeper's tasks run on; what lives in this process is put back. Not before the first moment while they run,
    /// until the second at the latest.
    Detaching(Instant, Instant),
    /// All tasks are ended. Until then at the latest.
    Ending(Instant),
    /// Everything is put away.
    Over,
}

impl Leaving {
    pub fn is_staying(self) -> bool {
        matches!(self, Self::No)
    }
    pub fn is_ending(self) -> bool {
        matches!(self, Self::Ending(_) | Self::Over)
    }
    pub fn is_over(self) -> bool {
        matches!(self, Self::Over)
    }
}

impl Core {
    /// The first signal.
    pub(crate) async fn stop(&mut self) {
        if self.end_tasks_on_stop {
            return self.hurry().await;
        }
        let kept = self.executors.in_keeper.len();
        tracing::info!(kept, "Leaving; what runs goes on without this process, a second signal ends it");
        let now = Instant::now();
        self.leaving = Leaving::Detaching(now + SECOND_SIGNAL.min(self.stop_within), now + self.stop_within);
        self.give(Input::Drain);
        self.executors.in_process.kill_all();
        for attempt in self.direct.attempts() {
            self.executors.kill(attempt).await;
        }
    }

    /// The second signal.
    pub(crate) async fn hurry(&mut self) {
        tracing::info!(running = self.session.running(), "Leaving; ending all tasks");
        self.leaving = Leaving::Ending(Instant::now() + self.executors.grace + MARGIN);
        self.give(Input::Interrupt);
        for attempt in self.direct.attempts() {
            self.executors.kill(attempt).await;
        }
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn may_leave(&self) -> bool {
        let until = match self.leaving {
            Leaving::No => return false,
            Leaving::Over => return true,
            Leaving::Detaching(from, _) if !self.executors.in_keeper.is_empty() && Instant::now() < from => {
                return false;
            }
            Leaving::Detaching(_, until) | Leaving::Ending(until) => until,
        };
        let here = !self.executors.in_process.is_empty() || self.direct.count() > 0;
        // Without contact nobody takes reports; the keeper has those of its own.
        let owed = self.session.is_open()
            && self.session.held().any(|h| self.leaving.is_ending() || !self.executors.in_keeper.contains(&h.attempt));
        let runs = self.leaving.is_ending() && self.session.running() > 0;
        !(here || owed || runs) || Instant::now() >= until
    }

    /// Ends the keeper if it holds nothing, or if nothing may run on.
    pub(crate) async fn put_away(&mut self) {
        self.seen.save(&self.data_dir, true);
        let ending = self.leaving.is_ending();
        self.leaving = Leaving::Over;
        if !ending && !self.executors.in_keeper.is_empty() {
            return;
        }
        gone_is_told(self.executors.keeper.shutdown(ending, self.executors.grace).await);
        let gone = async { while !matches!(self.keeper_events.recv().await, None | Some(KeeperEvent::Gone(_))) {} };
        let within = if ending { self.executors.grace + KEEPER_ENDS } else { KEEPER_ENDS };
        if tokio::time::timeout(within, gone).await.is_err() {
            tracing::warn!("The keeper did not end in time");
        }
    }
}
