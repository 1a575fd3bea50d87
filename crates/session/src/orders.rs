//! Orders: refused when stale or out of sequence, otherwise carried out in order.

use crate::{
    Effect, Known,
    attempt::{Held, Phase},
    reports::killed_unstarted,
    session::{Link, Open},
};
use domain::{AttemptId, Monotonic, Offer, Order, OrderBatch, ReportKind, SHARD, Start, Welcome};
use std::collections::BTreeSet;

impl crate::Session {
    /// A message of the scheduler.
    pub(crate) fn orders(&mut self, now: Monotonic, batch: OrderBatch) {
        let OrderBatch { shard, epoch, sequence, orders } = batch;
        let next = match &self.link {
            Link::Away => return,
            Link::Greeted { .. } => 1,
            Link::Open(open) => open.next_order,
        };
        if shard != SHARD {
            return self.disconnect(format!("orders of shard {shard}, which does not exist"));
        }
        if !orders.is_empty() && sequence != next {
            return self.disconnect(format!("orders out of sequence: {sequence} instead of {next}"));
        }
        let welcome = orders.iter().find_map(|o| match o {
            Order::Welcome(welcome) => Some(welcome),
            Order::Start(_) | Order::Kill(_) | Order::Recall(_) | Order::Forget(_) | Order::Drain => None,
        });
        // Epochs of different stores have nothing to do with each other.
        let other_store = welcome.is_some_and(|w| self.known.store_id.as_ref().is_some_and(|id| *id != w.store_id));
        if epoch < self.known.epoch && !other_store {
            return self.disconnect(format!("orders of epoch {}, but {} has been seen", epoch.0, self.known.epoch.0));
        }
        let known =
            Known { store_id: welcome.map(|w| w.store_id.clone()).or_else(|| self.known.store_id.clone()), epoch };
        if known != self.known {
            self.known = known.clone();
            self.effects.push(Effect::Remember(known));
            self.remembering = true;
        }
        match &mut self.link {
            Link::Away => return,
            Link::Greeted { heard } => *heard = now,
            Link::Open(open) => {
                open.heard = now;
                open.next_order = next + orders.len() as u64;
            }
        }
        let count = orders.len() as u64;
        let welcomed = welcome.is_some();
        for order in orders {
            if let (Order::Kill(attempt), Link::Open(open), true) = (&order, &mut self.link, welcomed) {
                open.overdue.insert(*attempt);
            }
            self.order(now, order, count);
        }
    }

    fn order(&mut self, now: Monotonic, order: Order, batch: u64) {
        match (order, self.is_open()) {
            (Order::Welcome(welcome), false) => self.welcome(now, welcome, batch),
            (Order::Welcome(_), true) => self.disconnect("welcomed twice".into()),
            (_, false) => self.disconnect("orders before the welcome".into()),
            (Order::Start(start), true) => self.receive(start),
            (Order::Kill(attempt), true) => self.kill(attempt),
            (Order::Recall(attempt), true) => self.recall(attempt),
            (Order::Forget(number), true) => self.forget(now, number),
            (Order::Drain, true) => self.closed_to_new = true,
        }
    }

    fn welcome(&mut self, now: Monotonic, welcome: Welcome, batch: u64) {
        // A disconnect further up in this batch left nobody to welcome.
        let Link::Greeted { heard } = self.link else { return };
        let Welcome { session, lost_after: _, store_id: _, highest_commit: _ } = welcome;
        self.link = Link::Open(Open {
            session,
            next_order: 1 + batch,
            received: 0,
            offer: Offer::default(),
            overdue: BTreeSet::new(),
            spoke: now,
            heard,
        });
    }

    fn receive(&mut self, start: Start) {
        if let Link::Open(open) = &mut self.link {
            open.received += 1;
        }
        let attempt = start.attempt;
        if self.held.contains_key(&attempt) {
            // Held already, in whatever phase: an attempt is started at most once (GUARANTEES G4).
            return;
        }
        if self.gone.contains(attempt) {
            return self.end(attempt, ReportKind::Refused("it was here before and is over".into()));
        }
        if self.leaving {
            return self.end(attempt, ReportKind::Recalled);
        }
        let priority = start.spec.priority;
        self.held.insert(attempt, Held::new(Phase::Queued(start)));
        // What is held ahead must not hold up what is more urgent.
        let behind = self.queue.iter().rev().take_while(|(other, _)| *other < priority).count();
        self.queue.insert(self.queue.len() - behind, (priority, attempt));
    }

    fn kill(&mut self, attempt: AttemptId) {
        match self.held.get(&attempt) {
            None => self.end(attempt, killed_unstarted()),
            Some(held) => match &held.phase {
                Phase::Queued(_) => self.end(attempt, killed_unstarted()),
                Phase::Running => self.effects.push(Effect::Kill(attempt)),
                // Its end is stored, so what output is left is not wanted.
                Phase::Ended if held.end_stored => self.let_go(attempt),
                Phase::Ended => {}
            },
        }
    }

    fn recall(&mut self, attempt: AttemptId) {
        let unstarted = match self.held.get(&attempt) {
            None => !self.gone.contains(attempt),
            Some(held) => matches!(held.phase, Phase::Queued(_)),
        };
        if unstarted {
            self.end(attempt, ReportKind::Recalled);
        }
    }

    /// Takes the next start out of the queue, if a slot is free. What isn't taken so comes out of
    /// [`crate::Session::drain`]; who runs things that are over at once takes them one after the other and reports them
    /// together. `None` as well while something is to be remembered before it.
    pub fn next_start(&mut self) -> Option<Start> {
        if self.free_slots() == 0 || self.remembering {
            return None;
        }
        let (_, attempt) = self.queue.pop_front()?;
        let held = self.held.get_mut(&attempt)?;
        match std::mem::replace(&mut held.phase, Phase::Running) {
            Phase::Queued(start) => {
                held.executed = true;
                self.running += 1;
                Some(start)
            }
            // Only what is queued is in the queue.
            other @ (Phase::Running | Phase::Ended) => {
                held.phase = other;
                None
            }
        }
    }

    /// What this worker can take now (PROTOCOL P1); `None` without a session.
    pub(crate) fn next_offer(&self) -> Option<Offer> {
        let Link::Open(open) = &self.link else { return None };
        let queued = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        let free = u64::from(self.free_slots());
        let mut room = (free + u64::from(self.window())).saturating_sub(queued);
        room = room.min(crate::session::ENDS_MAX.saturating_sub(self.unacknowledged_ends));
        // Taken back: what is on its way all the same is given back unstarted. And nothing before those are gone whose
        // time was over while there was no contact.
        let overdue = open.overdue.iter().any(|attempt| self.held.get(attempt).is_some_and(|held| !held.ended()));
        if self.closed_to_new || self.leaving || overdue {
            return Some(Offer { starts: open.received, prefetch: 0 });
        }
        let starts = open.offer.starts.max(open.received + room);
        let beyond = starts.saturating_sub(open.received).saturating_sub(free.saturating_sub(queued));
        Some(Offer { starts, prefetch: u32::try_from(beyond).unwrap_or(u32::MAX) })
    }

    fn window(&self) -> u32 {
        self.pace.window(self.slots, self.prefetch_max)
    }
}
