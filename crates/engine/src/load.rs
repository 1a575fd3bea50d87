//! Load: a reign begins with what the store holds.

use crate::{
    ById, Classes, Config, Engine, Stats, Timers, Workers, ahead::Scan, tally::Tallies, timers::Timer, window::Reach,
    window::Window, workers::Worker,
};
use domain::{Hello, Loaded, Now, Task};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Engine {
    /// An engine that goes on where the store stands. Workers of attempts under way count as out of contact from now on.
    /// What waits is read when a worker comes that can run it, or when its time comes.
    pub fn load(now: Now, config: Config, loaded: Loaded) -> Self {
        let Loaded { tasks, arrays, ready_seq, offered, counts: _, paused, draining } = loaded;
        let mut engine = Self {
            tasks: ById::default(),
            members: BTreeSet::new(),
            keys: BTreeMap::new(),
            classes: Classes::new(config.window, paused),
            waits: Window::new(Reach::UpTo(None)),
            workers: Workers::default(),
            timers: Timers::default(),
            ready_seq,
            offered,
            draining,
            dirty: Vec::new(),
            extra: Vec::new(),
            tallies: Tallies::default(),
            effects: Vec::new(),
            wants: Vec::new(),
            scan: Scan::Done,
            stats: Stats::default(),
            config,
        };
        // Arrays first: their members are counted in them.
        for task in arrays.into_iter().chain(tasks) {
            engine.load_task(now, task);
        }
        let away: Vec<_> = engine.workers.iter().map(|w| w.hello.worker.clone()).collect();
        for worker in away {
            engine.timers.set(now.mono + engine.config.lost_after, Timer::Lost(worker, now.mono));
        }
        engine.want_waits();
        engine
    }

    fn load_task(&mut self, now: Now, task: Task) {
        if let Some(attempt) = task.state.live() {
            if self.workers.get(&attempt.worker).is_none() {
                self.workers.insert(absent(now, attempt, self.draining.contains(&attempt.worker)));
            }
            if let Some(worker) = self.workers.get_mut(&attempt.worker) {
                worker.held.insert(task.id, attempt.no);
            }
        }
        let (id, class) = (task.id, self.intern(&task.spec));
        let runs = task.state.live().is_some_and(|attempt| attempt.started.is_some());
        self.enter(Arc::new(task), class, true);
        if let Some(resident) = self.tasks.get_mut(&id) {
            // Monotonic clocks start anew with each scheduler: the backstop comes later, never too early.
            resident.running_since = runs.then_some(now.mono);
        }
        self.line_up(now, id);
    }
}

/// A worker of which only the books know, until it comes back.
fn absent(now: Now, attempt: &domain::Attempt, draining: bool) -> Worker {
    let hello = Hello {
        worker: attempt.worker.clone(),
        incarnation: attempt.incarnation.clone(),
        labels: BTreeMap::new(),
        shell: false,
        docker: false,
        handlers: BTreeSet::new(),
        demo: false,
        opened: 0,
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
        draining,
    }
}
