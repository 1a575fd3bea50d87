//! Assign: a free slot and a ready task meet in the same step.

use crate::{ClassId, Effect, Engine, task_machine::Trigger, task_machine::move_to};
use domain::{Attempt, EventKind, Now, Order, Start, State, Tail, TaskId, Totals, WorkerId};
use std::sync::Arc;

impl Engine {
    /// Gives tasks of a class to workers as long as there is room for them.
    pub(crate) fn assign_class(&mut self, now: Now, class: ClassId) {
        while let Some((ready_seq, task)) = self.classes.head(class) {
            let Some(worker) = self.roomiest(class) else { return };
            self.dispatch(now, task, ready_seq, &worker);
        }
    }

    /// Gives a worker the tasks that it may run, first the class of the highest priority whose head has waited longest.
    pub(crate) fn assign_worker(&mut self, now: Now, worker: &WorkerId) {
        while let Some((ready_seq, task)) = self.next_for(worker) {
            self.dispatch(now, task, ready_seq, worker);
        }
    }

    /// The matching worker with most room.
    fn roomiest(&self, class: ClassId) -> Option<WorkerId> {
        let class = self.classes.get(class)?;
        let short = class.is_short();
        let fits = self
            .workers
            .iter()
            .filter(|w| w.takes(short) && class.key.requirement.missing(&w.capability(), &self.offered).is_none());
        // Most free slots first, then most room in all; the first in the order of names if several are equal.
        let room = |w: &crate::workers::Worker| {
            let (open, prefetch) = w.room();
            (open.saturating_sub(prefetch), open)
        };
        fits.reduce(|best, next| if room(next) > room(best) { next } else { best }).map(|w| w.hello.worker.clone())
    }

    fn next_for(&self, worker: &WorkerId) -> Option<(u64, TaskId)> {
        let worker = self.workers.get(worker)?;
        if !worker.takes(true) {
            return None;
        }
        let capability = worker.capability();
        let (id, _) = self.classes.ready().find(|(_, class)| {
            worker.takes(class.is_short()) && class.key.requirement.missing(&capability, &self.offered).is_none()
        })?;
        self.classes.head(id)
    }

    fn dispatch(&mut self, now: Now, id: TaskId, ready_seq: u64, worker: &WorkerId) {
        let Some(resident) = self.tasks.get_mut(&id) else { return };
        let class = resident.class;
        self.classes.remove(class, ready_seq);
        let Some(record) = self.workers.get_mut(worker) else { return };
        let task = resident.edit();
        let no = task.next_attempt();
        let dispatched = task.stamp(now.wall);
        let attempt = Attempt {
            no,
            worker: worker.clone(),
            incarnation: record.hello.incarnation.clone(),
            dispatched,
            started: None,
            ended: None,
            totals: Totals::default(),
        };
        move_to(task, Trigger::Assign, State::Dispatched(attempt));
        let spec = Arc::clone(&task.spec);
        resident.stored = 0;
        record.held.insert(id, no);
        record.sent_one();
        let session = record.session.as_ref().map(|s| s.id);
        let legacy = record.is_legacy();
        self.stats.dispatched += 1;
        self.touch(id);
        self.publish(id, dispatched, no.0, EventKind::Dispatched(worker.clone()), Tail::default());
        let attempt = domain::AttemptId { task: id, no };
        if legacy {
            self.arm_legacy_timeout(now, attempt, &spec);
        }
        self.watch_prefetched(now, worker);
        if let Some(session) = session {
            let start = Start { attempt, spec, class: class.0 };
            self.effects.push(Effect::Order(session, Order::Start(start)));
        }
    }
}
