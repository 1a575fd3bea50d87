//! Recall: what was sent ahead of free slots and is stuck behind a long task comes back, if another worker is free.
//!
//! Its worker confirms before it goes elsewhere (PROTOCOL P1): until then nothing is known to be unstarted.

use crate::{Effect, Engine, timers::Timer};
use domain::{AttemptId, Now, Order, State, WorkerId};
use std::time::Duration;

/// A worker that ends nothing for so long is stuck: only tasks of 20 ms or less are sent ahead.
const STUCK: Duration = Duration::from_millis(100);

impl Engine {
    /// Looks after this worker in a while, unless that is under way.
    pub(crate) fn watch_prefetched(&mut self, now: Now, worker: &WorkerId) {
        let Some(record) = self.workers.get_mut(worker) else { return };
        let (open, prefetch) = record.room();
        if open < prefetch && record.watched.is_none() {
            record.watched = Some(record.ends);
            self.timers.set(now.mono + STUCK, Timer::Prefetched(worker.clone()));
        }
    }

    /// Takes back what is stuck.
    pub(crate) fn recall(&mut self, now: Now, worker: &WorkerId) {
        let Some(record) = self.workers.get_mut(worker) else { return };
        let stuck = record.watched.take() == Some(record.ends);
        let Some(session) = record.session.as_ref().map(|s| s.id) else { return };
        let unstarted: Vec<AttemptId> = record
            .held
            .iter()
            .map(|(task, no)| AttemptId { task: *task, no: *no })
            .filter(|a| self.tasks.get(&a.task).is_some_and(|r| matches!(r.task.state, State::Dispatched(_))))
            .collect();
        if unstarted.is_empty() {
            return;
        }
        if stuck {
            let free = self.free_elsewhere(worker);
            for attempt in unstarted.into_iter().take(free) {
                self.effects.push(Effect::Order(session, Order::Recall(attempt)));
            }
        }
        if let Some(record) = self.workers.get_mut(worker) {
            record.watched = Some(record.ends);
            self.timers.set(now.mono + STUCK, Timer::Prefetched(worker.clone()));
        }
    }

    fn free_elsewhere(&self, but: &WorkerId) -> usize {
        let slots = self.workers.iter().filter(|w| w.hello.worker != *but).map(|w| {
            let (open, prefetch) = w.room();
            open.saturating_sub(prefetch)
        });
        usize::try_from(slots.fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
    }
}
