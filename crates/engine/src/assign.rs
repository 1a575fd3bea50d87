//! Assign: a free slot and a ready task meet in the same step.

use crate::{ClassId, Effect, Engine, placement::missing, task_machine::Trigger, workers::Worker};
use domain::{Attempt, EventKind, Now, Order, Place, Start, State, Tail, TaskId, Totals, WorkerId};
use std::sync::Arc;

impl Engine {
    /// Gives tasks of a class to workers as long as there is room for them.
    pub(crate) fn assign_class(&mut self, now: Now, class: ClassId) {
        while let Some(place) = self.classes.head(class) {
            let Some(worker) = self.roomiest(class) else { return };
            self.give(now, class, place, &worker);
        }
    }

    /// Gives a worker the tasks that it may run, first the class of the highest priority whose head has waited longest.
    pub(crate) fn assign_worker(&mut self, now: Now, worker: &WorkerId) {
        while let Some((class, place)) = self.next_for(worker) {
            self.give(now, class, place, worker);
        }
    }

    /// Gives a class's head to a worker, or notices that it must be read first: then the class has no head for a while.
    fn give(&mut self, now: Now, class: ClassId, place: Place, worker: &WorkerId) {
        let Some(head) = self.tasks.get(&place.id) else {
            // Nothing in a window is ever out of memory; if it were, we would rather lose its turn than turn for ever.
            self.classes.remove(class, place);
            return;
        };
        if head.task.due().is_some_and(|due| due.left(now.wall).is_zero()) {
            // It came back from a worker that didn't start it, and its time is over.
            self.run_out(now, place.id);
            return self.want_class(class);
        }
        if head.task.array.is_none() {
            self.classes.remove(class, place);
            self.leave_waits(place.id);
            self.dispatch(now, place.id, worker);
            return self.want_class(class);
        }
        if let Some(member) = self.next_member(now, place.id) {
            self.dispatch(now, member, worker);
        }
    }

    /// The matching worker with most room.
    fn roomiest(&self, id: ClassId) -> Option<WorkerId> {
        let class = self.classes.get(id)?;
        let short = class.is_short();
        let fits = self.workers.iter().filter(|w| {
            w.takes(short)
                && missing(&class.key.requirement, &w.capability(), &self.offered).is_none()
                && (w.takes(false) || self.is_first_for(id, w))
        });
        // Most free slots first, then most room in all; the first in the order of names if several are equal.
        let room = |w: &crate::workers::Worker| {
            let (open, prefetch) = w.room();
            (open.saturating_sub(prefetch), open)
        };
        fits.reduce(|best, next| if room(next) > room(best) { next } else { best }).map(|w| w.hello.worker.clone())
    }

    /// Whether no class that comes first waits for a free slot of this worker: sent ahead past it, short tasks would keep
    /// the worker busy for ever, and its turn would never come.
    fn is_first_for(&self, id: ClassId, worker: &Worker) -> bool {
        let capability = worker.capability();
        let mut before = self.classes.ready().take_while(|(other, _)| *other != id);
        before.all(|(_, class)| missing(&class.key.requirement, &capability, &self.offered).is_some())
    }

    /// The first class in line that the worker may run; nothing if that one needs a free slot and there is none.
    fn next_for(&self, worker: &WorkerId) -> Option<(ClassId, Place)> {
        let worker = self.workers.get(worker)?;
        if !worker.takes(true) {
            return None;
        }
        let capability = worker.capability();
        let mut ready = self.classes.ready();
        let first = ready.find(|(_, class)| missing(&class.key.requirement, &capability, &self.offered).is_none());
        let (id, class) = first.filter(|(_, class)| worker.takes(class.is_short()))?;
        Some((id, class.head()?))
    }

    fn dispatch(&mut self, now: Now, id: TaskId, worker: &WorkerId) {
        let Some(resident) = self.tasks.get_mut(&id) else { return };
        let class = resident.class;
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
        let (spec, entry) = (Arc::clone(&task.spec), task.entry.clone());
        resident.stored = 0;
        resident.running_since = None;
        record.held.insert(id, no);
        record.sent_one();
        let session = record.session.as_ref().map(|s| s.id);
        let legacy = record.is_legacy();
        self.stats.dispatched += 1;
        self.shift(id, Trigger::Assign, State::Dispatched(attempt));
        self.publish(id, dispatched, no.0, EventKind::Dispatched(worker.clone()), Tail::default());
        let attempt = domain::AttemptId { task: id, no };
        if legacy {
            self.arm_legacy_timeout(now, attempt, &spec);
        }
        self.watch_prefetched(now, worker);
        if let Some(session) = session {
            let start = Start { attempt, spec, class: class.0, entry };
            self.effects.push(Effect::Order(session, Order::Start(start)));
        }
    }
}
