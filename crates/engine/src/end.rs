//! End: an attempt is over, and the task ends with it or goes on.

use crate::{Engine, Finishing, task_machine::Trigger};
use domain::{
    Attempt, AttemptId, Due, Ending, EventKind, Exit, Final, Now, OnLost, Progress, Stamp, State, Tail, Task,
    UnixMillis, Wait, WorkerId, Write, limits,
};

/// What an ended attempt means for its task.
enum Next {
    Final(Trigger, Final),
    BackOff(Due),
    Requeue,
}

impl Engine {
    /// An attempt exited and its output is stored.
    pub(crate) fn finish(&mut self, now: Now, attempt: AttemptId, finishing: Finishing) {
        let Finishing { exit, totals, tail, result, tree_gone, report: _ } = finishing;
        self.started_unseen(now, attempt, &exit);
        self.release_progress(now, attempt);
        let Some(resident) = self.holder(attempt) else { return };
        let after = resident.task.events;
        let task = resident.edit();
        if let Some(live) = task.state.live_mut() {
            live.totals = totals;
        }
        if exit.success() {
            task.progress = Progress { percent: 100, message: task.progress.message.clone() };
        }
        task.result = result;
        if !tail.0.is_empty() {
            self.extra.push(Write::Tail { after, frames: tail.0.clone() });
        }
        self.close_attempt(now, attempt, Ending::Exited(exit), tail, !tree_gone);
    }

    /// An attempt is over without an exit.
    pub(crate) fn end_attempt(&mut self, now: Now, attempt: AttemptId, ending: Ending) {
        if ending == Ending::Lost {
            self.stats.lost += 1;
        }
        let unconfirmed = matches!(ending, Ending::Lost | Ending::Abandoned);
        self.close_attempt(now, attempt, ending, Tail::default(), unconfirmed);
    }

    fn close_attempt(&mut self, now: Now, attempt: AttemptId, ending: Ending, tail: Tail, unconfirmed: bool) {
        let Some(resident) = self.holder(attempt) else { return };
        let waiting = resident.finishing.take().and_then(|f| f.report);
        resident.progress = crate::Thinned::default();
        let task = resident.edit();
        let Some(live) = task.state.live().cloned() else { return };
        let worker = live.worker.clone();
        let cancelling = matches!(task.state, State::Cancelling(_));
        let stamp = task.stamp(now.wall);
        task.ended.push(Attempt { ended: Some((stamp, ending.clone())), ..live });
        let next = decide(task, &ending, cancelling, unconfirmed.then_some(&worker), now.wall);
        self.touch(attempt.task);
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.held.remove(&attempt.task);
            worker.ends += 1;
        }
        if let Some((session, number)) = waiting
            && let Some(session) = self.workers.by_session_mut(session).and_then(|w| w.session.as_mut())
        {
            session.waiting.remove(&number);
        }
        self.go_on(now, attempt, ending, next, stamp, tail);
        self.assign_worker(now, &worker);
    }

    fn go_on(&mut self, now: Now, attempt: AttemptId, ending: Ending, next: Next, stamp: Stamp, tail: Tail) {
        let Some(resident) = self.tasks.get_mut(&attempt.task) else { return };
        let class = resident.class;
        let (id, no) = (attempt.task, attempt.no.0);
        let until = match &next {
            Next::BackOff(due) => Some(due.at),
            Next::Final(..) | Next::Requeue => None,
        };
        resident.edit().backed_off.push(until);
        match next {
            Next::Final(trigger, end) => return self.conclude(now, id, no, trigger, end, stamp, tail),
            Next::BackOff(due) => self.shift(id, Trigger::BackOff, State::Pending(Wait::BackingOff(due))),
            Next::Requeue => self.shift(id, Trigger::Requeue, State::Pending(Wait::Queued)),
        }
        self.publish(id, stamp, no, EventKind::AttemptEnded(ending, until), tail);
        self.line_up(now, id);
        self.assign_class(now, class);
    }

    /// A task becomes final. `stamp` is that of the attempt's end, if one ended with it.
    #[allow(clippy::too_many_arguments, reason = "what is known of an end, said once")]
    pub(crate) fn conclude(
        &mut self,
        now: Now,
        id: domain::TaskId,
        attempt: u32,
        trigger: Trigger,
        end: Final,
        stamp: Stamp,
        tail: Tail,
    ) {
        self.shift(id, trigger, State::Final(end.clone()));
        let Some(resident) = self.tasks.get_mut(&id) else { return };
        let task = resident.edit();
        task.finished = Some(stamp);
        let code = task.exit_code().unwrap_or(-1);
        match &end {
            Final::Completed => self.stats.completed += 1,
            Final::Failed(_) => self.stats.failed += 1,
            Final::TimedOut(_) => self.stats.timed_out += 1,
            Final::Cancelled { .. } => self.stats.cancelled += 1,
        }
        self.publish(id, stamp, attempt, EventKind::Finished(end, code), tail);
        if let Some(array) = id.array() {
            self.settle(now, array);
        }
    }

    /// A worker may report the exit of an attempt whose start it never reported (both were one instant to it).
    fn started_unseen(&mut self, now: Now, attempt: AttemptId, exit: &Exit) {
        let ran = match exit {
            Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut(_) | Exit::HandlerError(_) => true,
            Exit::NotStarted(_) | Exit::Killed => false,
        };
        if ran {
            self.started(now, attempt);
        }
    }
}

/// What follows; the ended attempt is the last of `task.ended` already.
fn decide(task: &Task, ending: &Ending, cancelling: bool, unconfirmed: Option<&WorkerId>, now: UnixMillis) -> Next {
    if cancelling {
        return Next::Final(Trigger::Gone, Final::Cancelled { unconfirmed: unconfirmed.cloned() });
    }
    match ending {
        Ending::Exited(Exit::Killed) | Ending::Recalled | Ending::Abandoned => Next::Requeue,
        Ending::Lost if task.spec.on_lost == OnLost::Fail => Next::Final(Trigger::Fail, Final::Failed(ending.text())),
        Ending::Lost | Ending::Refused(_) if task.crashes() >= limits::CRASHES => {
            let often = if *ending == Ending::Lost { " too often" } else { "" };
            let text = format!("{}{often} ({} times)", ending.text(), task.crashes());
            Next::Final(Trigger::Fail, Final::Failed(text))
        }
        Ending::Lost => Next::Requeue,
        // A worker that refuses would refuse again at once.
        Ending::Refused(_) => Next::BackOff(Due::after(now, std::time::Duration::from_secs(1))),
        Ending::Exited(exit) if exit.success() => Next::Final(Trigger::Succeed, Final::Completed),
        Ending::Exited(exit) => match task.spec.retry.delay(task.failures(), task.id.row_key().unsigned_abs()) {
            Some(delay) => Next::BackOff(Due::after(now, delay)),
            None => match exit {
                Exit::TimedOut(_) => Next::Final(Trigger::TimeOut, Final::TimedOut(exit.text())),
                Exit::Code(_) | Exit::Signal(_) | Exit::NotStarted(_) | Exit::Killed | Exit::HandlerError(_) => {
                    Next::Final(Trigger::Fail, Final::Failed(exit.text()))
                }
            },
        },
    }
}
