//! Reports: what workers say about attempts. They count only from the worker incarnation that holds the attempt.

use crate::{Effect, Engine, Finishing, SessionId, Waited, task_machine::Trigger, workers::Credit};
use domain::{AttemptId, Ending, EventKind, Now, Offer, Report, ReportKind, State, Tail, WorkerId};
use std::sync::Arc;

impl Engine {
    pub(crate) fn update(&mut self, now: Now, session: SessionId, reports: Vec<Report>, offer: Option<Offer>) {
        let Some(id) = self.workers.of_session(session).cloned() else { return };
        self.hear(now, session);
        // First what it takes: a report may free a task, which must not go to a worker that takes nothing any more.
        if let Some(new) = offer
            && let Some(record) = self.workers.by_session_mut(session).and_then(|w| w.session.as_mut())
            && let Credit::Granted { offer, .. } = &mut record.credit
        {
            *offer = new;
        }
        for report in reports {
            let number = report.number;
            let done = self.report(now, session, &id, report);
            if let Some(session) = self.workers.by_session_mut(session).and_then(|w| w.session.as_mut()) {
                session.reports = session.reports.max(number);
                if !done {
                    session.waiting.insert(number);
                }
            }
        }
        self.acknowledge(session);
        self.assign_worker(now, &id);
    }

    pub(crate) fn hear(&mut self, now: Now, session: SessionId) {
        let Some(worker) = self.workers.by_session_mut(session) else { return };
        worker.heard = now.wall;
        if let Some(session) = &mut worker.session {
            session.heard = now.mono;
        }
    }

    /// Acknowledges what can be. The order leaves after the commit of what it acknowledges.
    pub(crate) fn acknowledge(&mut self, session: SessionId) {
        let Some(worker) = self.workers.by_session_mut(session) else { return };
        if let Some(order) = worker.session.as_mut().and_then(crate::workers::Session::acknowledge) {
            self.effects.push(crate::Effect::Order(session, order));
        }
    }

    /// Handles one report; false if it can't be acknowledged yet.
    fn report(&mut self, now: Now, session: SessionId, from: &WorkerId, report: Report) -> bool {
        let Report { number, attempt, kind } = report;
        if let Some(why) = self.refusal(from, attempt) {
            self.stats.refused.count(why);
            return true;
        }
        match kind {
            ReportKind::Started => self.started(now, attempt),
            ReportKind::Progressed(progress) => self.progressed(now, attempt, progress),
            ReportKind::Refused(why) => self.end_attempt(now, attempt, Ending::Refused(why)),
            ReportKind::Recalled => self.end_attempt(now, attempt, Ending::Recalled),
            ReportKind::Lost => self.end_attempt(now, attempt, Ending::Lost),
            ReportKind::Exited { exit, totals, tail, result, run_us, tree_gone } => {
                self.ran(attempt, run_us);
                let report = Some((session, number));
                let finishing = Finishing { exit, totals, tail, result, tree_gone, report };
                return self.exited(now, attempt, finishing);
            }
        }
        true
    }

    fn ran(&mut self, attempt: AttemptId, run_us: u64) {
        if let Some(class) = self.tasks.get(&attempt.task).map(|r| r.class) {
            self.classes.ran(class, run_us);
        }
    }

    /// An attempt runs. Saying so twice changes nothing.
    pub(crate) fn started(&mut self, now: Now, attempt: AttemptId) {
        let Some(resident) = self.holder(attempt) else { return };
        resident.running_since.get_or_insert(now.mono);
        let task = resident.edit();
        let Some(mut live) = task.state.live().cloned() else { return };
        if live.started.is_some() {
            return;
        }
        let stamp = task.stamp(now.wall);
        live.started = Some(stamp);
        let worker = live.worker.clone();
        let (spec, since) = (Arc::clone(&task.spec), task.ready_since().min(now.wall));
        let waited = Waited { attempt, spec, worker: worker.clone(), since, until: now.wall };
        let cancelling = matches!(task.state, State::Cancelling(_));
        let state = if cancelling { State::Cancelling(live) } else { State::Running(live) };
        self.shift(attempt.task, Trigger::Start, state);
        self.stats.started += 1;
        self.publish(attempt.task, stamp, attempt.no.0, EventKind::Started(worker), Tail::default());
        self.effects.push(Effect::Waited(waited));
    }

    /// An attempt ended. It is done only when all output that travelled on its own is stored (GUARANTEES G7).
    pub(crate) fn exited(&mut self, now: Now, attempt: AttemptId, finishing: Finishing) -> bool {
        let Some(resident) = self.holder(attempt) else { return true };
        if let Some(before) = resident.finishing.take() {
            // Reported again, on a newer session, while its output is still on its way: only this report waits for that.
            resident.finishing = Some(Box::new(finishing));
            if let Some((session, number)) = before.report
                && let Some(session) = self.workers.by_session_mut(session).and_then(|w| w.session.as_mut())
            {
                session.waiting.remove(&number);
            }
            return false;
        }
        if resident.stored < finishing.tail.streamed(finishing.totals) {
            resident.finishing = Some(Box::new(finishing));
            return false;
        }
        self.finish(now, attempt, finishing);
        true
    }
}
