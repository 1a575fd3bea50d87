//! Workers of the older dialect: heartbeat, progress, result. They name tasks, not attempts, and can't be told to stop
//! anything, so the scheduler ends their attempts itself on timeout or cancel (PROTOCOL P1).

use crate::{Effect, Engine, Finishing, LegacyMessage, Refusal, SessionId, timers::Timer, workers::Credit};
use domain::{AttemptId, Epoch, Error, Exit, Hello, Incarnation, Kind, Now, Spec, Tail, TaskId, Totals, WorkerId};
use std::collections::{BTreeMap, BTreeSet};

/// All lives of such a worker are one: it can't say which it is.
const INCARNATION: &str = "legacy";

impl Engine {
    pub(crate) fn legacy(&mut self, now: Now, session: SessionId, message: LegacyMessage) {
        self.hear(now, session);
        match message {
            LegacyMessage::Heartbeat { worker, address, slots } => self.heartbeat(now, session, worker, address, slots),
            LegacyMessage::Progress { task, progress } => {
                if let Some(attempt) = self.legacy_attempt(session, task) {
                    self.progressed(now, attempt, progress);
                }
            }
            LegacyMessage::Result { task, result } => {
                let Some(attempt) = self.legacy_attempt(session, task) else { return };
                let (exit, result) = match result {
                    Ok(result) => (Exit::Code(0), result),
                    Err(why) => (Exit::HandlerError(why), Vec::new()),
                };
                let (totals, tail) = (Totals::default(), Tail::default());
                let finishing = Finishing { exit, totals, tail, result, tree_gone: true, report: None };
                self.exited(now, attempt, finishing);
            }
        }
    }

    fn heartbeat(&mut self, now: Now, session: SessionId, worker: WorkerId, address: String, slots: u32) {
        if self.workers.of_session(session).is_none() {
            self.legacy_hello(now, session, worker, address);
        }
        let Some(record) = self.workers.by_session_mut(session) else { return };
        let id = record.hello.worker.clone();
        if let Some(Credit::Slots { capacity, last }) = record.session.as_mut().map(|s| &mut s.credit) {
            *last = slots;
            *capacity = slots.max(*capacity);
        }
        self.assign_worker(now, &id);
    }

    fn legacy_hello(&mut self, now: Now, session: SessionId, worker: WorkerId, address: String) {
        let hello = Hello {
            worker: worker.clone(),
            incarnation: Incarnation(INCARNATION.into()),
            labels: BTreeMap::new(),
            shell: false,
            docker: false,
            handlers: BTreeSet::new(),
            demo: false,
            opened: 0,
            highest_epoch: Epoch::default(),
            held: Vec::new(),
            slots: 0,
            address,
            kill_level: None,
            version: String::new(),
        };
        if let Err(error) = hello.check() {
            return self.effects.push(Effect::Close(session, error));
        }
        let taken = self.workers.get(&worker).is_some_and(|w| !w.is_legacy() && w.session.is_some());
        if taken {
            let text = format!("worker_id: another worker called {worker} is connected");
            return self.effects.push(Effect::Close(session, Error::new(Kind::Conflict, text)));
        }
        if self.workers.get(&worker).is_none() && !self.workers.make_room() {
            let text = format!("{} workers are known, and none of them can be forgotten", domain::limits::WORKERS);
            return self.effects.push(Effect::Close(session, Error::new(Kind::Exhausted, text)));
        }
        self.welcome(now, session, hello, Credit::Slots { capacity: 0, last: 0 });
        self.reconcile(now, session, &BTreeSet::new());
    }

    /// The attempt of a task that this session's worker holds.
    fn legacy_attempt(&mut self, session: SessionId, task: TaskId) -> Option<AttemptId> {
        let held = self.workers.by_session_mut(session).and_then(|w| w.held.get(&task).copied());
        if held.is_none() {
            self.stats.refused.count(Refusal::Over);
        }
        held.map(|no| AttemptId { task, no })
    }

    pub(crate) fn arm_legacy_timeout(&mut self, now: Now, attempt: AttemptId, spec: &Spec) {
        if let Some(limit) = spec.timeout {
            self.timers.set(now.mono + limit, Timer::Timeout(attempt));
        }
    }

    pub(crate) fn legacy_timed_out(&mut self, now: Now, attempt: AttemptId) {
        let Some(resident) = self.holder(attempt) else { return };
        let Some(limit) = resident.task.spec.timeout else { return };
        let exit = Exit::TimedOut(limit);
        let (totals, tail) = (Totals::default(), Tail::default());
        let result = Vec::new();
        self.finish(now, attempt, Finishing { exit, totals, tail, result, tree_gone: false, report: None });
    }
}
