//! The scheduler's process: the driver with its I/O done by the world.

use crate::world::{Happening, Plant, World};
use domain::{AttemptId, Batch, FrameNo, Need, Order, OrderBatch, SHARD, StateWord, Want};
use driver::{Driver, Outcome, Step};
use engine::{Caller, Config, Effect, Input, SessionId};
use session::ToScheduler;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use store::{
    Failure, Reason, Store as _,
    memory::{Fault, MemoryStore},
};

/// So small that paging happens in every seed.
const WINDOW: usize = 3;

/// The disk, and the process if it is up.
#[derive(Default)]
pub(crate) struct Scheduler {
    pub disk: MemoryStore,
    /// Durable frames of each attempt.
    pub output: BTreeMap<AttemptId, BTreeSet<FrameNo>>,
    pub process: Option<Process>,
    reigns: u64,
}

pub(crate) struct Process {
    pub driver: Driver,
    reign: u64,
    epoch: domain::Epoch,
    store: MemoryStore,
    /// What the writer's thread has to do, in order.
    jobs: VecDeque<Job>,
    /// Orders sent on each open session.
    sessions: BTreeMap<SessionId, u64>,
    ticking: bool,
}

enum Job {
    Facts(Vec<Need>),
    Ahead(Want),
    Commit(Batch),
}

impl Scheduler {
    /// Nothing is being decided or committed, and every task has ended.
    pub fn is_idle(&self) -> bool {
        let idle = |p: &Process| !p.driver.is_busy() && p.jobs.is_empty() && p.driver.engine().residents() == 0;
        self.process.as_ref().is_some_and(idle)
            && self.disk.reader().counts().is_ok_and(|counts| counts.sum(|word: StateWord| !word.is_final()) == 0)
    }

    /// How far the output of an attempt is stored without a gap.
    pub fn stored(&self, attempt: AttemptId) -> FrameNo {
        let frames = self.output.get(&attempt);
        frames.map_or(0, |f| f.iter().zip(1..).take_while(|(have, want)| **have == *want).count() as u64)
    }
}

impl World {
    pub(crate) fn start_scheduler(&mut self) {
        if self.scheduler.process.is_some() {
            return;
        }
        let mut store = self.scheduler.disk.clone();
        let (Ok(opened), Ok(loaded)) = (store.begin(), store.load()) else { unreachable!("the model store opens") };
        let live: Vec<_> = loaded.tasks.iter().filter_map(domain::Task::live_id).collect();
        let config = Config {
            lost_after: Duration::from_secs(60),
            silence: Duration::from_secs(15),
            store_id: opened.store_id,
            epoch: opened.epoch,
            window: WINDOW,
        };
        let mut driver = Driver::new(self.clocks(), config, loaded);
        for attempt in live {
            driver.push(Input::OutputStored { attempt, frames: self.scheduler.stored(attempt) });
        }
        self.scheduler.reigns += 1;
        self.scheduler.process = Some(Process {
            driver,
            reign: self.scheduler.reigns,
            epoch: opened.epoch,
            store,
            jobs: VecDeque::new(),
            sessions: BTreeMap::new(),
            ticking: false,
        });
        self.recall_lines();
        self.turn();
    }

    pub(crate) fn crash_scheduler(&mut self) {
        let Some(process) = self.scheduler.process.take() else { return };
        self.account(&process);
        // What the disk was writing may have reached it.
        if let Some(Job::Commit(batch)) = process.jobs.front()
            && self.rng.percent(50)
        {
            let mut store = process.store;
            let applied = store.commit(batch).is_ok();
            self.report.unknown_applied += u64::from(applied);
        }
        for worker in 0..self.workers.len() {
            self.cut(worker);
        }
        let delay = self.rng.ms(1, 20_000);
        self.after(delay, Happening::SchedulerStart);
    }

    fn account(&mut self, process: &Process) {
        let stats = process.driver.engine().stats();
        self.report.lost += stats.lost;
        self.report.refused += stats.refused.total();
    }

    /// Gives the scheduler an input, if it is up.
    pub(crate) fn tell(&mut self, input: Input) {
        if let Some(process) = &mut self.scheduler.process {
            process.driver.push(input);
            self.turn();
        }
    }

    pub(crate) fn tick_scheduler(&mut self, reign: u64) {
        let Some(process) = self.scheduler.process.as_mut().filter(|p| p.reign == reign) else { return };
        process.ticking = false;
        self.turn();
    }

    /// Lets the driver go on.
    fn turn(&mut self) {
        self.turn_with(None);
    }

    /// Lets the driver go on, after a step that it has asked for already.
    fn turn_with(&mut self, mut first: Option<Step>) {
        let now = self.clocks();
        let Some(process) = &mut self.scheduler.process else { return };
        let reign = process.reign;
        let mut jobs = 0;
        while let Some(step) = first.take().or_else(|| process.driver.poll(now)) {
            process.jobs.push_back(match step {
                Step::Ask(needs) => Job::Facts(needs),
                Step::Ahead(want) => Job::Ahead(want),
                Step::Commit(batch) => Job::Commit(batch),
            });
            jobs += 1;
        }
        let due = process.driver.next_deadline().filter(|_| !process.ticking);
        process.ticking |= due.is_some();
        assert!(process.driver.backlog() < 10_000, "the inbox is bounded");
        // The writer does one job after the other: each takes a while from now on.
        for _ in 0..jobs {
            let delay = self.rng.ms(1, 10);
            self.after(delay, Happening::Job { reign });
        }
        if let Some(due) = due {
            self.after(due.since(self.now), Happening::SchedulerTick { reign });
        }
    }

    /// The writer's thread does its next job.
    pub(crate) fn job(&mut self, reign: u64) {
        let now = self.clocks();
        let faulty = !self.calm && self.rng.percent(self.faults.bad_commit);
        let (unknown, applied) = (self.rng.percent(70), self.rng.percent(50));
        let plant = self.plan.plant == Some(Plant::LyingDisk) && self.rng.percent(2);
        let Some(process) = self.scheduler.process.as_mut().filter(|p| p.reign == reign) else { return };
        match process.jobs.pop_front() {
            None => {}
            Some(Job::Facts(needs)) => {
                let facts = process.store.facts(&needs).unwrap_or_default();
                let step = process.driver.facts(now, facts);
                return self.turn_with(step);
            }
            Some(Job::Ahead(want)) => {
                if let Ok(ahead) = process.store.ahead(&want) {
                    process.driver.ahead(now, ahead);
                }
            }
            Some(Job::Commit(batch)) => {
                if faulty {
                    let failure = if unknown {
                        Failure::Unknown("simulated".into())
                    } else {
                        Failure::Definite(Reason::Other("simulated".into()))
                    };
                    self.report.unknown_applied += u64::from(unknown && applied);
                    process.store.fail_next(Fault { failure, applied: unknown && applied });
                }
                let result = if plant { Ok(domain::Commit(0)) } else { process.store.commit(&batch) };
                match result {
                    Ok(_) => {
                        let effects = process.driver.committed();
                        self.check_books();
                        self.release(effects);
                    }
                    Err(failure) => return self.fail(&failure),
                }
            }
        }
        self.turn();
    }

    /// The one recovery path: callers are answered, workers cut off, and the reign ends.
    fn fail(&mut self, failure: &Failure) {
        let Some(process) = self.scheduler.process.take() else { return };
        self.account(&process);
        let outcome = match failure {
            Failure::Unknown(_) => Outcome::Unknown,
            Failure::Definite(_) => Outcome::Refused,
        };
        for (Caller(call), reply) in process.driver.fail(outcome) {
            let delay = self.delay();
            self.after(delay, Happening::Answer { call, reply });
        }
        for worker in 0..self.workers.len() {
            self.cut(worker);
        }
        self.after(Duration::from_millis(200), Happening::SchedulerStart);
    }

    fn release(&mut self, effects: Vec<Effect>) {
        let mut orders: BTreeMap<SessionId, Vec<Order>> = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Reply(Caller(call), reply) => {
                    let delay = self.delay();
                    self.after(delay, Happening::Answer { call, reply });
                }
                Effect::Order(session, order) => orders.entry(session).or_default().push(order),
                Effect::Publish { event, tail: _ } => self.published(&event),
                Effect::Close(session, _) => {
                    if let Some(connection) = self.connections.get(&session.0) {
                        self.cut(connection.worker);
                    }
                }
            }
        }
        for (session, orders) in orders {
            self.send_orders(session, orders);
        }
    }

    fn send_orders(&mut self, session: SessionId, orders: Vec<Order>) {
        let Some(process) = &mut self.scheduler.process else { return };
        let Some(sent) = process.sessions.get_mut(&session) else { return };
        let batch = OrderBatch { shard: SHARD, epoch: process.epoch, sequence: *sent + 1, orders };
        *sent += batch.orders.len() as u64;
        self.send_down(session.0, |connection| Happening::ToWorker { connection, batch });
    }

    /// A message of a worker arrives.
    pub(crate) fn hear(&mut self, connection: u64, message: ToScheduler) {
        if !self.connections.contains_key(&connection) {
            return;
        }
        let session = SessionId(connection);
        let Some(process) = &mut self.scheduler.process else { return };
        match message {
            ToScheduler::Hello(hello) => {
                process.sessions.insert(session, 0);
                self.tell(Input::Hello { session, hello: Box::new(hello) });
            }
            ToScheduler::Update { reports, offer } => {
                if reports.is_empty() {
                    self.send_orders(session, Vec::new());
                }
                self.tell(Input::Update { session, reports, offer });
            }
        }
    }

    /// Frames arrive, are durable after a while, and are acknowledged.
    pub(crate) fn store_frames(&mut self, connection: u64, frames: Vec<domain::Frame>) {
        if !self.connections.contains_key(&connection) || self.scheduler.process.is_none() {
            return;
        }
        let mut attempts = BTreeSet::new();
        for frame in frames {
            attempts.insert(frame.attempt);
            self.scheduler.output.entry(frame.attempt).or_default().insert(frame.number);
        }
        for attempt in attempts {
            let number = self.scheduler.stored(attempt);
            self.tell(Input::OutputStored { attempt, frames: number });
            self.send_down(connection, |connection| Happening::Acked { connection, attempt, number });
        }
    }
}
