//! Tick: what was due.

use crate::{Engine, array_machine::ArrayTrigger, task_machine::Trigger, timers::Timer};
use domain::{Final, Now, State, StateWord, Tail, TaskId, Wait, WaitPlace};

impl Engine {
    pub(crate) fn tick(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop(now.mono) {
            match timer {
                Timer::Due(place) => self.due(now, place),
                Timer::Silence(session) => self.silence(now, session),
                Timer::Lost(worker, since) => self.lost(now, &worker, since),
                Timer::Overdue(session) => self.overdue(now, session),
                Timer::Progress(attempt) => self.release_progress(now, attempt),
                Timer::Prefetched(worker) => self.recall(now, &worker),
                Timer::Timeout(attempt) => self.legacy_timed_out(now, attempt),
            }
        }
    }

    /// Nobody has started a task for as long as it may wait.
    pub(crate) fn run_out(&mut self, now: Now, id: TaskId) {
        self.leave_line(id);
        let Some(resident) = self.tasks.get_mut(&id) else { return };
        let task = resident.edit();
        let (stamp, attempt) = (task.stamp(now.wall), task.latest().map_or(0, |a| a.no.0));
        let seconds = task.spec.start_within.unwrap_or_default().as_secs_f64();
        let end = Final::TimedOut(format!("not started within {seconds}s"));
        self.conclude(now, id, attempt, Trigger::TimeOut, end, stamp, Tail::default());
    }

    /// A back-off or delay is over: the task takes its place (PROTOCOL P4.3).
    fn due(&mut self, now: Now, place: WaitPlace) {
        let Some(resident) = self.tasks.get(&place.id) else { return };
        // The timer may be an older wait's.
        if resident.task.due().is_none_or(|due| due.at.0 != place.due_ms) {
            return;
        }
        if resident.task.state.word() == StateWord::Queued {
            return self.run_out(now, place.id);
        }
        let class = resident.class;
        let rest = resident.task.array.as_ref().map(|books| books.rest(resident.task.members()));
        self.waits.remove(place);
        match rest {
            None => self.shift(place.id, Trigger::Due, State::Pending(Wait::Queued)),
            Some(rest) => {
                self.shift_array(place.id, ArrayTrigger::Due, State::Pending(Wait::Queued));
                self.recount_rest(place.id, StateWord::Delayed, StateWord::Queued, rest);
            }
        }
        self.line_up(now, place.id);
        self.want_waits();
        self.assign_class(now, class);
    }
}
