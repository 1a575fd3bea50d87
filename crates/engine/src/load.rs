//! Load: a reign begins with what the store holds.

use crate::{Classes, Config, Engine, Resident, Stats, Timers, Workers, timers::Timer, workers::Worker};
use domain::{Hello, Loaded, Now, State, Task, Wait};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Engine {
    /// An engine that goes on where the store stands. Workers of attempts under way count as out of contact from now on.
    pub fn load(now: Now, config: Config, loaded: Loaded) -> Self {
        let Loaded { tasks, ready_seq, offered } = loaded;
        let mut engine = Self {
            config,
            tasks: BTreeMap::new(),
            keys: BTreeMap::new(),
            classes: Classes::default(),
            workers: Workers::default(),
            timers: Timers::default(),
            ready_seq,
            offered,
            dirty: BTreeMap::new(),
            extra: Vec::new(),
            effects: Vec::new(),
            stats: Stats::default(),
        };
        for task in tasks {
            engine.load_task(now, task);
        }
        let away: Vec<_> = engine.workers.iter().map(|w| w.hello.worker.clone()).collect();
        for worker in away {
            engine.timers.set(now.mono + engine.config.lost_after, Timer::Lost(worker, now.mono));
        }
        engine
    }

    fn load_task(&mut self, now: Now, task: Task) {
        let class = self.classes.intern(&task.spec);
        match &task.state {
            State::Pending(Wait::Queued) => self.classes.push(class, task.ready_seq, task.id),
            State::Pending(Wait::BackingOff(due)) => {
                self.timers.set(now.mono + due.left(now.wall), Timer::BackOff(task.id));
            }
            State::Dispatched(attempt) | State::Running(attempt) | State::Cancelling(attempt) => {
                if self.workers.get(&attempt.worker).is_none() {
                    self.workers.insert(absent(now, attempt));
                }
                if let Some(worker) = self.workers.get_mut(&attempt.worker) {
                    worker.held.insert(task.id, attempt.no);
                }
            }
            State::Final(_) => return,
        }
        if let Some(key) = &task.spec.key {
            self.keys.insert(key.key, task.id);
        }
        self.tasks.insert(task.id, Resident::new(Arc::new(task), class));
    }
}

/// A worker of which only the books know, until it comes back.
fn absent(now: Now, attempt: &domain::Attempt) -> Worker {
    let hello = Hello {
        worker: attempt.worker.clone(),
        incarnation: attempt.incarnation.clone(),
        labels: BTreeMap::new(),
        shell: false,
        handlers: BTreeSet::new(),
        demo: false,
        highest_epoch: domain::Epoch::default(),
        held: Vec::new(),
        slots: 0,
        address: String::new(),
        kill_level: Some(domain::KillLevel::BestEffort),
        version: String::new(),
    };
    Worker {
        hello,
        session: None,
        held: BTreeMap::new(),
        away_since: now.mono,
        heard: domain::UnixMillis(0),
        ends: 0,
        watched: None,
    }
}
