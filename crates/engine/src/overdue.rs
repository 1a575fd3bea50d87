//! Overdue: the backstop behind the workers' timeouts (PROTOCOL P3).
//!
//! Timeouts are enforced where the processes are. If a worker is in contact and yet says nothing of an attempt's end long
//! after its time, then whoever should enforce it there does not: the attempt is *lost*, not timed out, because nobody
//! knows what became of it.

use crate::{Effect, Engine, SessionId, timers::Timer};
use domain::{AttemptId, Ending, Now, OnLost, Order};
use std::time::Duration;

/// Beyond timeout and `lost_after`: SIGTERM, its grace (5 s unless a worker was told otherwise), SIGKILL, and the report. So
/// large that a worker with a long grace isn't taken for a dead one.
const GRACE: Duration = Duration::from_secs(60);

impl Engine {
    /// Looks at what a session's worker holds, now and then.
    pub(crate) fn watch_overdue(&mut self, now: Now, session: SessionId) {
        self.timers.set(now.mono + self.config.lost_after, Timer::Overdue(session));
    }

    /// Gives up what should have ended long ago, and asks for its end once more.
    pub(crate) fn overdue(&mut self, now: Now, session: SessionId) {
        let Some(worker) = self.workers.of_session(session).and_then(|id| self.workers.get(id)) else { return };
        let held = worker.held.iter().map(|(task, no)| AttemptId { task: *task, no: *no });
        let overdue: Vec<_> = held.filter(|attempt| self.is_overdue(now, *attempt)).collect();
        for attempt in overdue {
            self.effects.push(Effect::Order(session, Order::Kill(attempt)));
            self.end_attempt(now, attempt, Ending::Lost);
        }
        self.watch_overdue(now, session);
    }

    fn is_overdue(&self, now: Now, attempt: AttemptId) -> bool {
        let Some(resident) = self.tasks.get(&attempt.task) else { return false };
        // Its end is known, and only its output is under way.
        if resident.finishing.is_some() || resident.task.spec.on_lost == OnLost::Wait {
            return false;
        }
        let Some((since, timeout)) = resident.running_since.zip(resident.task.spec.timeout) else { return false };
        now.mono.since(since) > timeout.saturating_add(GRACE).saturating_add(self.config.lost_after)
    }
}
