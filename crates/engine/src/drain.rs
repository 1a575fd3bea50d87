//! Drain: a worker takes nothing new, and gives back what it hasn't started. That it shall is durable: it outlives a
//! restart of either side.

use crate::{Caller, Effect, Engine, Reply};
use domain::{AttemptId, Error, Kind, Now, Order, Result, State, WorkerId, Write};

impl Engine {
    pub(crate) fn drain(&mut self, now: Now, caller: Caller, worker: &WorkerId, on: bool) {
        let reply = self.set_draining(now, worker, on);
        self.effects.push(Effect::Reply(caller, Reply::Drained(reply)));
    }

    fn set_draining(&mut self, now: Now, worker: &WorkerId, on: bool) -> Result<u32> {
        if self.workers.get(worker).is_none() && !self.draining.contains(worker) {
            return Err(no_worker(worker));
        }
        let changed = if on { self.draining.insert(worker.clone()) } else { self.draining.remove(worker) };
        if changed {
            self.extra.push(Write::Drained { worker: worker.clone(), on });
        }
        let Some(record) = self.workers.get_mut(worker) else { return Ok(0) };
        record.draining = on;
        let held = u32::try_from(record.held.len()).unwrap_or(u32::MAX);
        if on {
            self.give_back(worker)
        } else {
            self.assign_worker(now, worker)
        }
        Ok(held)
    }

    /// Asks for everything that the worker has not started. It says of each whether it has.
    fn give_back(&mut self, worker: &WorkerId) {
        let Some(record) = self.workers.get(worker).filter(|record| !record.is_legacy()) else { return };
        let Some(session) = record.session.as_ref().map(|s| s.id) else { return };
        let held = record.held.iter().map(|(task, no)| AttemptId { task: *task, no: *no });
        let unstarted =
            |a: &AttemptId| self.tasks.get(&a.task).is_some_and(|r| matches!(r.task.state, State::Dispatched(_)));
        let orders: Vec<_> = held.filter(unstarted).map(|a| Effect::Order(session, Order::Recall(a))).collect();
        self.effects.extend(orders);
    }
}

/// Nobody of this name is known.
pub(crate) fn no_worker(worker: &WorkerId) -> Error {
    Error::new(Kind::NotFound, format!("no worker {worker}"))
}
