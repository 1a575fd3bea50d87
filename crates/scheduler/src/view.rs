//! Views: what readers see of workers and queues, at most 100 ms old (PROTOCOL P3).

use domain::Counts;
use driver::Driver;
use engine::{Snapshot, Stats};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// A view is taken at most so often: taking one costs time in proportion to workers and classes.
const EVERY: Duration = Duration::from_millis(50);

/// Workers, queues and counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether it is one of a store that has been opened. Before that nobody knows of any worker.
    pub opened: bool,
    /// Workers and queues.
    pub snapshot: Arc<Snapshot>,
    /// Counters of this reign.
    pub stats: Stats,
    /// All tasks by state, as committed: members of arrays count, arrays don't.
    pub counts: Counts,
}

impl View {
    /// The view of a driver.
    pub fn of(driver: &Driver) -> Self {
        Self {
            opened: true,
            snapshot: Arc::new(driver.snapshot()),
            stats: driver.engine().stats(),
            counts: *driver.counts(),
        }
    }
}

/// The publishing side.
pub(crate) struct Views {
    to: watch::Sender<View>,
    last: Option<Instant>,
    stale: bool,
    /// What /metrics was told of this reign.
    told: Stats,
}

impl Views {
    pub fn new() -> (Self, watch::Receiver<View>) {
        let (to, from) = watch::channel(View::default());
        (Self { to, last: None, stale: false, told: Stats::default() }, from)
    }

    /// A reign begins: its engine counts from 0. Whoever is known to the store shows from now on.
    pub fn begin(&mut self, view: impl FnOnce() -> View) {
        self.told = Stats::default();
        self.publish_now(view);
    }

    /// Publishes a new view, unless the last one is young: then it is due later.
    pub fn publish(&mut self, view: impl FnOnce() -> View) {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            self.stale = true;
            return;
        }
        self.publish_now(view);
    }

    /// Publishes a new view: somebody is about to be told that what he asked for shows in it.
    pub fn publish_now(&mut self, view: impl FnOnce() -> View) {
        self.last = Some(Instant::now());
        self.stale = false;
        let view = view();
        crate::gauges::set(&view, &mut self.told);
        self.to.send_replace(view);
    }

    /// Something changed that needs no commit: the next view is due soon.
    pub fn changed(&mut self) {
        self.last.get_or_insert_with(Instant::now);
        self.stale = true;
    }

    /// When the next one is due, if anything changed since the last.
    pub fn due(&self) -> Option<tokio::time::Instant> {
        self.last.filter(|_| self.stale).map(|last| tokio::time::Instant::from_std(last + EVERY))
    }
}
