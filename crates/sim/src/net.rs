//! The network: connections between a worker's process and a scheduler's. Each direction is FIFO with delay; it may lose
//! what is under way, go silent, or be closed at one end only.

use crate::{
    rng::Rng,
    world::{Happening, World},
};
use domain::Monotonic;
use std::{collections::BTreeMap, time::Duration};

/// Messages under way in one direction, at most: flow control would stop the sender long before.
const UNDER_WAY: u64 = 10_000;

/// All connections.
#[derive(Default)]
pub(crate) struct Net {
    pub open: BTreeMap<u64, Connection>,
    last: u64,
}

/// One connection.
pub(crate) struct Connection {
    pub worker: usize,
    /// The worker's process and the scheduler's that it joins.
    pub process: u64,
    pub scheduler: u64,
    up: Lane,
    down: Lane,
    at_worker: bool,
    at_scheduler: bool,
}

/// One direction.
#[derive(Default)]
struct Lane {
    busy: Monotonic,
    /// From then on nothing arrives.
    cut: Option<Monotonic>,
    under_way: u64,
}

/// How a connection breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Break {
    /// What is under way is lost; both ends notice.
    Reset,
    /// What is under way arrives; then both ends notice.
    Clean,
    /// Nothing passes any more, and only this end notices.
    HalfOpen(End),
    /// Nothing arrives at this end any more, and nobody notices.
    OneWay(End),
}

/// An end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Worker,
    Scheduler,
}

impl Connection {
    /// Whether messages pass in both directions.
    pub fn is_whole(&self) -> bool {
        self.at_worker && self.at_scheduler && self.up.cut.is_none() && self.down.cut.is_none()
    }

    fn lane(&mut self, to: End) -> &mut Lane {
        match to {
            End::Worker => &mut self.down,
            End::Scheduler => &mut self.up,
        }
    }

    fn is_open_at(&self, end: End) -> bool {
        match end {
            End::Worker => self.at_worker,
            End::Scheduler => self.at_scheduler,
        }
    }
}

impl World {
    /// Delay of one message.
    pub fn delay(&mut self) -> Duration {
        if self.mix.slow_net && !self.calm && self.rng.percent(5) { self.rng.ms(50, 3_000) } else { self.rng.ms(0, 5) }
    }

    /// Opens a connection and returns its number.
    pub fn open(&mut self, worker: usize, process: u64, scheduler: u64) -> u64 {
        self.net.last += 1;
        let (up, down) = (Lane::default(), Lane::default());
        let connection = Connection { worker, process, scheduler, up, down, at_worker: true, at_scheduler: true };
        self.net.open.insert(self.net.last, connection);
        self.net.last
    }

    /// Sends to one end, in order.
    pub fn send(&mut self, to: End, connection: u64, what: Happening) {
        let when = self.now + self.delay();
        let Some(link) = self.net.open.get_mut(&connection) else { return };
        let lane = link.lane(to);
        lane.busy = lane.busy.max(when);
        let when = lane.busy;
        if lane.cut.is_none_or(|cut| when < cut) {
            lane.under_way += 1;
            assert!(lane.under_way < UNDER_WAY, "the messages under way are bounded");
            self.at(when, what);
        }
    }

    /// A message arrives, if nothing has broken meanwhile.
    pub fn arrives(&mut self, at: End, connection: u64) -> bool {
        let now = self.now;
        let Some(link) = self.net.open.get_mut(&connection) else { return false };
        let open = link.is_open_at(at);
        let lane = link.lane(at);
        lane.under_way = lane.under_way.saturating_sub(1);
        open && lane.cut.is_none_or(|cut| now < cut)
    }

    /// One end closes a connection. Usually the other one is told, behind what is under way.
    pub fn hang_up(&mut self, end: End, connection: u64, tell: bool) {
        let Some(link) = self.net.open.get_mut(&connection) else { return };
        match end {
            End::Worker => link.at_worker = false,
            End::Scheduler => link.at_scheduler = false,
        }
        if !link.at_worker && !link.at_scheduler {
            self.net.open.remove(&connection);
        } else if tell {
            match end {
                End::Worker => self.send(End::Scheduler, connection, Happening::ClosedAtScheduler { connection }),
                End::Scheduler => self.send(End::Worker, connection, Happening::ClosedAtWorker { connection }),
            }
        }
    }

    /// Breaks a connection from outside.
    pub fn break_connection(&mut self, connection: u64, how: Break, dice: &mut Rng) {
        let (soon, later) = (self.now + dice.ms(0, 3), self.now + dice.ms(0, 200));
        let Some(link) = self.net.open.get_mut(&connection) else { return };
        match how {
            Break::Reset | Break::HalfOpen(_) => {
                link.up.cut.get_or_insert(soon);
                link.down.cut.get_or_insert(soon);
            }
            Break::OneWay(end) => drop(link.lane(end).cut.get_or_insert(soon)),
            Break::Clean => {}
        }
        match how {
            Break::Reset => {
                self.at(soon, Happening::ClosedAtWorker { connection });
                self.at(later, Happening::ClosedAtScheduler { connection });
            }
            Break::Clean => {
                self.send(End::Worker, connection, Happening::ClosedAtWorker { connection });
                self.send(End::Scheduler, connection, Happening::ClosedAtScheduler { connection });
            }
            Break::HalfOpen(End::Worker) => self.at(soon, Happening::ClosedAtWorker { connection }),
            Break::HalfOpen(End::Scheduler) => self.at(soon, Happening::ClosedAtScheduler { connection }),
            Break::OneWay(_) => {}
        }
    }
}
