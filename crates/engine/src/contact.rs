//! Contact: a broken connection is not a lost worker. Only after `lost_after` are its attempts given up (PROTOCOL P1).

use crate::{Engine, SessionId, timers::Timer};
use domain::{AttemptId, Ending, Error, Kind, Monotonic, Now, OnLost, State, WorkerId};

impl Engine {
    /// A stream ended.
    pub(crate) fn closed(&mut self, now: Now, session: SessionId) {
        let Some(worker) = self.workers.detach(session, now.mono) else { return };
        let id = worker.hello.worker.clone();
        self.timers.set(now.mono + self.config.lost_after, Timer::Lost(id, now.mono));
    }

    /// A session may have been silent for too long.
    pub(crate) fn silence(&mut self, now: Now, session: SessionId) {
        let Some(worker) = self.workers.by_session_mut(session) else { return };
        let legacy = worker.is_legacy();
        let Some(heard) = worker.session.as_ref().map(|s| s.heard) else { return };
        // A worker of the older dialect says nothing while it works: the stream alone tells that it lives.
        if legacy {
            return;
        }
        if now.mono.since(heard) < self.config.silence {
            return self.timers.set(heard + self.config.silence, Timer::Silence(session));
        }
        let text = format!("no message for {} s", self.config.silence.as_secs());
        self.effects.push(crate::Effect::Close(session, Error::new(Kind::Unavailable, text)));
        self.closed(now, session);
    }

    /// Whether nothing is concluded from the silence of this attempt's worker. A cancel ends the waiting.
    fn is_waited_for(&self, attempt: AttemptId) -> bool {
        let Some(task) = self.task(attempt.task) else { return false };
        task.spec.on_lost == OnLost::Wait && !matches!(task.state, State::Cancelling(_))
    }

    /// A worker may have been away for too long.
    pub(crate) fn lost(&mut self, now: Now, worker: &WorkerId, since: Monotonic) {
        let Some(record) = self.workers.get(worker) else { return };
        if record.session.is_some() || record.away_since != since {
            return;
        }
        let held = record.held.iter().map(|(task, no)| AttemptId { task: *task, no: *no });
        let lost: Vec<_> = held.filter(|attempt| !self.is_waited_for(*attempt)).collect();
        for attempt in lost {
            self.end_attempt(now, attempt, Ending::Lost);
        }
        self.unwant_classes();
    }
}
