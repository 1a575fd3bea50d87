//! Workers as the engine knows them: who is in contact, what each holds, and how much each would take.

use crate::{SessionId, placement::Capability};
use domain::{AttemptNo, Hello, Monotonic, Offer, Order, TaskId, UnixMillis, WorkerId, limits};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(crate) struct Worker {
    /// Its latest hello, without what it held.
    pub hello: Hello,
    pub session: Option<Session>,
    /// Attempts that it holds, by our books.
    pub held: BTreeMap<TaskId, AttemptNo>,
    /// Since when it is out of contact.
    pub away_since: Monotonic,
    pub heard: UnixMillis,
    /// Attempts that have ended on it, and how many had when its prefetched ones were last looked at.
    pub ends: u64,
    pub watched: Option<u64>,
    /// It shall take nothing new.
    pub draining: bool,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub id: SessionId,
    pub heard: Monotonic,
    pub credit: Credit,
    /// The highest report number handled, and those below it that can't be acknowledged yet.
    pub reports: u64,
    pub waiting: BTreeSet<u64>,
    pub acknowledged: u64,
}

/// How much a session would take.
#[derive(Debug)]
pub(crate) enum Credit {
    /// As it grants.
    Granted { offer: Offer, sent: u64 },
    /// The older dialect: the largest number of free slots seen, and the last one.
    Slots { capacity: u32, last: u32 },
}

impl Worker {
    /// Starts it would take in all, and those only for short tasks among them: no more than it should hold, whatever it
    /// offers.
    pub fn room(&self) -> (u64, u64) {
        let most = limits::WORKER_ATTEMPTS.saturating_sub(self.held.len() as u64);
        let (open, prefetch) = self.offered();
        (open.min(most), prefetch)
    }

    fn offered(&self) -> (u64, u64) {
        match self.session.as_ref().filter(|_| !self.draining).map(|s| &s.credit) {
            None => (0, 0),
            Some(Credit::Granted { offer, sent }) => (offer.starts.saturating_sub(*sent), u64::from(offer.prefetch)),
            Some(Credit::Slots { capacity, last }) => {
                let outstanding = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
                (u64::from((*last).min(capacity.saturating_sub(outstanding))), 0)
            }
        }
    }

    /// Whether it would take a task now.
    pub fn takes(&self, short: bool) -> bool {
        let (open, prefetch) = self.room();
        if short { open > 0 } else { open > prefetch }
    }

    pub fn sent_one(&mut self) {
        if let Some(Session { credit: Credit::Granted { sent, .. }, .. }) = &mut self.session {
            *sent += 1;
        }
    }

    /// Whether it speaks only the older dialect, and so can't be told to stop anything.
    pub fn is_legacy(&self) -> bool {
        self.hello.kill_level.is_none()
    }

    pub fn capability(&self) -> Capability<'_> {
        Capability {
            worker: &self.hello.worker,
            labels: &self.hello.labels,
            shell: self.hello.shell,
            docker: self.hello.docker,
            handlers: &self.hello.handlers,
            stray: self.hello.demo || self.is_legacy(),
        }
    }
}

impl Session {
    pub fn new(id: SessionId, heard: Monotonic, credit: Credit) -> Self {
        Self { id, heard, credit, reports: 0, waiting: BTreeSet::new(), acknowledged: 0 }
    }

    /// What may be acknowledged now, if that is more than before.
    pub fn acknowledge(&mut self) -> Option<Order> {
        let upto = self.waiting.first().map_or(self.reports, |first| first - 1);
        (upto > self.acknowledged).then(|| {
            self.acknowledged = upto;
            Order::Forget(upto)
        })
    }
}

/// All workers ever seen in this reign.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    by_id: BTreeMap<WorkerId, Worker>,
    by_session: BTreeMap<SessionId, WorkerId>,
}

impl Workers {
    pub fn get(&self, id: &WorkerId) -> Option<&Worker> {
        self.by_id.get(id)
    }

    pub fn get_mut(&mut self, id: &WorkerId) -> Option<&mut Worker> {
        self.by_id.get_mut(id)
    }

    pub fn insert(&mut self, worker: Worker) {
        self.by_id.insert(worker.hello.worker.clone(), worker);
    }

    /// Forgets the one that is away for longest and holds nothing, if there are as many as may be; false: there is none such.
    pub fn make_room(&mut self) -> bool {
        if self.by_id.len() < limits::WORKERS {
            return true;
        }
        let idle = self.by_id.values().filter(|w| w.session.is_none() && w.held.is_empty() && !w.draining);
        let longest = idle.min_by_key(|w| w.away_since).map(|w| w.hello.worker.clone());
        longest.is_some_and(|id| self.by_id.remove(&id).is_some())
    }

    pub fn remove(&mut self, id: &WorkerId) {
        self.by_id.remove(id);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.by_id.values()
    }

    /// Binds a session to a worker.
    pub fn attach(&mut self, worker: &WorkerId, session: Session) {
        if let Some(record) = self.by_id.get_mut(worker) {
            self.by_session.insert(session.id, worker.clone());
            record.session = Some(session);
        }
    }

    /// Unbinds a session; the worker is then out of contact.
    pub fn detach(&mut self, session: SessionId, now: Monotonic) -> Option<&mut Worker> {
        let id = self.by_session.remove(&session)?;
        let worker = self.by_id.get_mut(&id)?;
        worker.session = None;
        worker.away_since = now;
        Some(worker)
    }

    pub fn of_session(&self, session: SessionId) -> Option<&WorkerId> {
        self.by_session.get(&session)
    }

    pub fn by_session_mut(&mut self, session: SessionId) -> Option<&mut Worker> {
        let id = self.by_session.get(&session)?;
        self.by_id.get_mut(id)
    }
}
