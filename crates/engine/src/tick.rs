//! Tick: what was due.

use crate::{
    Engine,
    task_machine::{Trigger, move_to},
    timers::Timer,
};
use domain::{Now, State, TaskId, Wait};

impl Engine {
    pub(crate) fn tick(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop(now.mono) {
            match timer {
                Timer::BackOff(task) => self.backed_off(now, task),
                Timer::Silence(session) => self.silence(now, session),
                Timer::Lost(worker, since) => self.lost(now, &worker, since),
                Timer::Progress(attempt) => self.release_progress(now, attempt),
                Timer::Prefetched(worker) => self.recall(now, &worker),
                Timer::Timeout(attempt) => self.legacy_timed_out(now, attempt),
            }
        }
    }

    /// A back-off is over: the task takes its old place (PROTOCOL P4.3).
    fn backed_off(&mut self, now: Now, id: TaskId) {
        let Some(resident) = self.tasks.get_mut(&id) else { return };
        if !matches!(resident.task.state, State::Pending(Wait::BackingOff(_))) {
            return;
        }
        let (class, task) = (resident.class, resident.edit());
        move_to(task, Trigger::Due, State::Pending(Wait::Queued));
        let ready_seq = task.ready_seq;
        self.classes.push(class, ready_seq, id);
        self.touch(id);
        self.assign_class(now, class);
    }
}
