//! Hello: a worker comes, or comes back.

use crate::{
    Effect, Engine, Refusal, SessionId,
    timers::Timer,
    workers::{Credit, Session, Worker},
};
use domain::{AttemptId, Ending, Error, Hello, Kind, Now, Offer, Order, State, Welcome, Write};
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    pub(crate) fn hello(&mut self, now: Now, session: SessionId, mut hello: Hello) {
        if let Err(error) = hello.check() {
            return self.effects.push(Effect::Close(session, error));
        }
        let id = hello.worker.clone();
        if let Some(other) = self.workers.get(&id).filter(|w| w.hello.incarnation != hello.incarnation)
            && other.session.is_some()
        {
            let text = format!("worker_id: another worker called {id} is connected; give one of them another --id");
            return self.effects.push(Effect::Close(session, Error::new(Kind::Conflict, text)));
        }
        // What it held when it gave that connection up is not what it holds now.
        if self
            .workers
            .get(&id)
            .is_some_and(|w| w.hello.incarnation == hello.incarnation && hello.opened < w.hello.opened)
        {
            let error = Error::new(Kind::Precondition, "this worker has opened a later session already");
            return self.effects.push(Effect::Close(session, error));
        }
        if self.workers.get(&id).is_none() && !self.workers.make_room() {
            let text = format!("{} workers are known, and none of them can be forgotten", domain::limits::WORKERS);
            return self.effects.push(Effect::Close(session, Error::new(Kind::Exhausted, text)));
        }
        let held = std::mem::take(&mut hello.held);
        let credit = Credit::Granted { offer: Offer::default(), sent: 0 };
        self.welcome(now, session, hello, credit);
        self.effects.push(Effect::Order(
            session,
            Order::Welcome(Welcome {
                session: session.0,
                lost_after: self.config.lost_after,
                store_id: self.config.store_id.clone(),
                highest_commit: domain::Commit::default(),
            }),
        ));
        self.watch_overdue(now, session);
        let held: BTreeSet<AttemptId> = held.into_iter().map(|h| h.attempt).collect();
        self.reconcile(now, session, &held);
    }

    /// Binds the session to its worker, new or known. An older session of the same incarnation is ended.
    pub(crate) fn welcome(&mut self, now: Now, session: SessionId, hello: Hello, credit: Credit) {
        let id = hello.worker.clone();
        let new: BTreeSet<String> = hello.handlers.difference(&self.offered).cloned().collect();
        if !new.is_empty() {
            self.offered.extend(new.iter().cloned());
            self.extra.push(Write::Offered(new));
        }
        let mut books = BTreeMap::new();
        if let Some(old) = self.workers.get_mut(&id) {
            books = std::mem::take(&mut old.held);
            if let Some(older) = old.session.as_ref().map(|s| s.id) {
                self.workers.detach(older, now.mono);
                let error = Error::new(Kind::Precondition, "replaced by a newer session of the same worker");
                self.effects.push(Effect::Close(older, error));
            }
        }
        self.workers.insert(Worker {
            hello,
            session: None,
            held: books,
            away_since: now.mono,
            heard: now.wall,
            ends: 0,
            watched: None,
            draining: self.draining.contains(&id),
        });
        self.workers.attach(&id, Session::new(session, now.mono, credit));
        self.scan();
        self.timers.set(now.mono + self.config.silence, Timer::Silence(session));
    }

    /// Compares the books with what the worker says it holds. What it should hold and doesn't is lost at once; what it
    /// holds and shouldn't is killed; what is being cancelled is told so again.
    pub(crate) fn reconcile(&mut self, now: Now, session: SessionId, held: &BTreeSet<AttemptId>) {
        let Some(worker) = self.workers.by_session_mut(session) else { return };
        let incarnation = worker.hello.incarnation.clone();
        let books: Vec<_> = worker.held.iter().map(|(task, no)| AttemptId { task: *task, no: *no }).collect();
        for attempt in &books {
            let same = self.holder(*attempt).and_then(|r| r.task.state.live()).map(|a| a.incarnation == incarnation);
            if same != Some(true) || !held.contains(attempt) {
                self.end_attempt(now, *attempt, Ending::Lost);
                continue;
            }
            let cancelling = self.holder(*attempt).is_some_and(|r| matches!(r.task.state, State::Cancelling(_)));
            if cancelling {
                self.effects.push(Effect::Order(session, Order::Kill(*attempt)));
            }
        }
        for attempt in held.difference(&books.into_iter().collect()) {
            self.stats.refused.count(Refusal::GivenUp);
            self.effects.push(Effect::Order(session, Order::Kill(*attempt)));
        }
    }
}
