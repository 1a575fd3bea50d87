//! Progress: thinned before it becomes an event, at most one a second per attempt, plus the last (PROTOCOL P2).

use crate::{Engine, timers::Timer};
use domain::{AttemptId, EventKind, Now, Progress, Tail, Write, limits};

impl Engine {
    pub(crate) fn progressed(&mut self, now: Now, attempt: AttemptId, progress: Progress) {
        self.started(now, attempt);
        let Some(resident) = self.holder(attempt) else { return };
        let due = resident.progress.last.map(|last| last + limits::PROGRESS_EVERY);
        match due.filter(|due| *due > now.mono) {
            None => self.emit_progress(now, attempt, progress),
            Some(due) => {
                if resident.progress.held.replace(progress).is_none() {
                    self.timers.set(due, Timer::Progress(attempt));
                }
            }
        }
    }

    /// What was held back becomes an event: its second is over, or the attempt ends.
    pub(crate) fn release_progress(&mut self, now: Now, attempt: AttemptId) {
        let held = self.holder(attempt).and_then(|r| r.progress.held.take());
        if let Some(progress) = held {
            self.emit_progress(now, attempt, progress);
        }
    }

    fn emit_progress(&mut self, now: Now, attempt: AttemptId, progress: Progress) {
        let Some(resident) = self.holder(attempt) else { return };
        resident.progress.last = Some(now.mono);
        let task = resident.edit();
        task.progress = progress.clone();
        let stamp = task.stamp(now.wall);
        let (task, no) = (attempt.task, attempt.no.0);
        self.touch(task);
        self.extra.push(Write::Progressed { task, stamp, attempt: no, progress: progress.clone() });
        self.publish(task, stamp, no, EventKind::Progressed(progress), Tail::default());
    }
}
