//! Arrays: their own state follows from their members' (PROTOCOL P5).

use crate::{
    Engine,
    array_machine::{ArrayTrigger, move_array},
};
use domain::{EventKind, Final, Now, Progress, State, StateWord, Tail, TaskId, Write, limits};

impl Engine {
    /// Moves an array along its table. Arrays aren't counted, so no numbers change.
    pub(crate) fn shift_array(&mut self, array: TaskId, trigger: ArrayTrigger, state: State) {
        if let Some(resident) = self.tasks.get_mut(&array) {
            move_array(resident.edit(), trigger, state);
            self.touch(array);
        }
    }

    /// A member's state changed.
    pub(crate) fn recount(&mut self, array: TaskId, from: StateWord, to: StateWord) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        if let Some(books) = &mut resident.edit().array {
            books.counts.change(from, -1);
            books.counts.change(to, 1);
        }
        self.touch(array);
    }

    /// Members that have no row of their own in memory change their state all at once.
    pub(crate) fn recount_rest(&mut self, array: TaskId, from: StateWord, to: StateWord, members: u64) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let class = resident.class;
        let by = i64::try_from(members).unwrap_or(i64::MAX);
        if let Some(books) = &mut resident.edit().array {
            books.counts.change(from, -by);
            books.counts.change(to, by);
        }
        self.tally(class, from, -by);
        self.tally(class, to, by);
        self.touch(array);
    }

    /// What a member's end means for its array: the end as well if it was the last, else progress now and then.
    pub(crate) fn settle(&mut self, now: Now, array: TaskId) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        if resident.task.state.is_final() {
            return;
        }
        resident.edit().updated = now.wall;
        let Some(books) = &resident.task.array else { return };
        let (counts, all) = (books.counts, resident.task.members());
        let ended = counts.sum(StateWord::is_final);
        if ended == all {
            return self.conclude_array(now, array, aggregate(&counts, all));
        }
        let percent = u8::try_from(ended * 100 / all.max(1)).unwrap_or(100);
        let young = resident.progress.last.is_some_and(|last| now.mono.since(last) < limits::PROGRESS_EVERY);
        if percent <= resident.task.progress.percent || young {
            return;
        }
        resident.progress.last = Some(now.mono);
        let failed = counts.get(StateWord::Failed) + counts.get(StateWord::TimedOut);
        let message = format!("{ended} of {all} members ended, {failed} of them failed");
        let progress = Progress { percent, message };
        let task = resident.edit();
        task.progress = progress.clone();
        let stamp = task.stamp(now.wall);
        self.touch(array);
        self.extra.push(Write::Progressed { task: array, stamp, attempt: 0, progress: progress.clone() });
        self.publish(array, stamp, 0, EventKind::Progressed(progress), Tail::default());
    }

    fn conclude_array(&mut self, now: Now, array: TaskId, end: Final) {
        // It may still wait for its time, if all members were cancelled one by one before.
        self.leave_line(array);
        self.shift_array(array, ArrayTrigger::End, State::Final(end.clone()));
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let task = resident.edit();
        let stamp = task.stamp(now.wall);
        task.finished = Some(stamp);
        let code = task.exit_code().unwrap_or(1);
        self.publish(array, stamp, 0, EventKind::Finished(end, code), Tail::default());
    }
}

/// Failed if any failed, else timed out, else cancelled, else completed.
fn aggregate(counts: &domain::Counts, all: u64) -> Final {
    let of = |word: StateWord| Some(counts.get(word)).filter(|n| *n > 0);
    if let Some(failed) = of(StateWord::Failed) {
        return Final::Failed(format!("{failed} of {all} members failed"));
    }
    if let Some(late) = of(StateWord::TimedOut) {
        return Final::TimedOut(format!("{late} of {all} members timed out"));
    }
    match of(StateWord::Cancelled) {
        Some(_) => Final::Cancelled { unconfirmed: None },
        None => Final::Completed,
    }
}
