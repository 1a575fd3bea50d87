//! The scheduler's processes: each a driver with its I/O done by the world. Usually there is one; a fault may start another
//! while the first still believes that it reigns.

use crate::{
    clock::Clock,
    net::End,
    plant::Plant,
    rare::Rare,
    world::{Happening, World},
};
use domain::{
    Ahead, AttemptId, Batch, EventKind, Fact, FrameNo, Monotonic, Need, Now, Order, OrderBatch, SHARD, StateWord, Want,
};
use driver::{Driver, Outcome, Step};
use engine::{Caller, Config, Effect, Input, SessionId, Stats};
use session::ToScheduler;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use store::{Failure, Store as _};

/// So small that paging happens in every seed.
const WINDOW: usize = 3;
/// As by default.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(60);
/// Inputs that wait in a driver, at most.
const BACKLOG: usize = 10_000;

/// The schedulers' side: their processes, and the output that they store.
#[derive(Default)]
pub(crate) struct House {
    /// Durable frames of each attempt.
    pub output: BTreeMap<AttemptId, BTreeSet<FrameNo>>,
    /// By number; the last one reigns.
    pub processes: BTreeMap<u64, Process>,
    started: u64,
}

pub(crate) struct Process {
    pub driver: Driver,
    pub clock: Clock,
    /// It stands still until then.
    pub frozen: Monotonic,
    epoch: domain::Epoch,
    /// Batches whose effects have left.
    released: u64,
    /// What the writer's thread has to do, in order, and what it has answered.
    jobs: VecDeque<Job>,
    answers: VecDeque<Answer>,
    answered: Monotonic,
    /// Orders sent on each open session.
    sessions: BTreeMap<SessionId, u64>,
    ticking: bool,
}

enum Job {
    Facts(Vec<Need>),
    Ahead(Want),
    Commit(Batch),
}

enum Answer {
    Facts(Vec<Fact>),
    Ahead(Ahead),
    Committed,
    Failed(Failure),
}

impl House {
    /// The number of the process that reigns, if one is up.
    pub fn reigning(&self) -> Option<u64> {
        self.processes.keys().next_back().copied()
    }

    /// Whether this process reigns, and no later reign was begun: one that has ended since wrote what this doesn't know.
    pub fn reigns(&self, number: u64, epoch: domain::Epoch) -> bool {
        self.reigning() == Some(number) && self.processes.get(&number).is_some_and(|p| p.epoch == epoch)
    }

    /// Nothing is being decided or committed.
    pub fn is_idle(&self) -> bool {
        let idle = |p: &Process| {
            let busy = p.driver.is_busy() || !p.jobs.is_empty() || !p.answers.is_empty();
            !busy && p.driver.engine().residents() == 0
        };
        self.processes.len() == 1 && self.processes.values().all(idle)
    }

    /// How far the output of an attempt is stored without a gap.
    pub fn stored(&self, attempt: AttemptId) -> FrameNo {
        let frames = self.output.get(&attempt);
        frames.map_or(0, |f| f.iter().zip(1..).take_while(|(have, want)| **have == *want).count() as u64)
    }
}

impl World {
    /// Starts a scheduler, unless one is there or it shall be a second one.
    pub(crate) fn start_scheduler(&mut self, second: bool) {
        if !second && !self.house.processes.is_empty() {
            return;
        }
        let mut store = self.disk.store.clone();
        let (Ok(opened), Ok(mut loaded)) = (store.begin(), self.load()) else { unreachable!("the model store opens") };
        self.disk.epoch = opened.epoch;
        let live: Vec<_> = loaded.tasks.iter().filter_map(domain::Task::live_id).collect();
        let config = Config {
            lost_after: LOST_AFTER,
            silence: Duration::from_secs(15),
            store_id: opened.store_id,
            epoch: opened.epoch,
            window: WINDOW,
        };
        let clock = Clock::draw(&mut self.rng, !self.mix.skewed_clocks);
        loaded.tasks.sort_by_key(|task| task.id);
        let mut driver = Driver::new(clock.read(self.now), config, loaded);
        for attempt in live {
            driver.push(Input::OutputStored { attempt, frames: self.house.stored(attempt) });
        }
        self.house.started += 1;
        let number = self.house.started;
        let process = Process {
            driver,
            clock,
            frozen: self.now,
            epoch: opened.epoch,
            released: 0,
            jobs: VecDeque::new(),
            answers: VecDeque::new(),
            answered: self.now,
            sessions: BTreeMap::new(),
            ticking: false,
        };
        self.house.processes.insert(number, process);
        self.recall_lines();
        self.turn(number, None);
    }

    /// It is killed.
    pub(crate) fn crash_scheduler(&mut self, number: u64) {
        let Some(process) = self.take_down(number) else { return };
        // What its disk was writing may have reached it.
        if process.answers.iter().any(|answer| matches!(answer, Answer::Committed)) {
            self.sometimes(Rare::CommittedAndDied);
        }
        if let Some(Job::Commit(batch)) = process.jobs.front()
            && self.rng.percent(50)
            && self.commit(batch).is_ok()
        {
            self.sometimes(Rare::CommittedAndDied);
        }
        let delay = if self.calm { Duration::from_millis(1) } else { self.rng.ms(1, 20_000) };
        self.after(delay, Happening::SchedulerStart);
    }

    /// Its process is gone, and with it its ends of all connections.
    fn take_down(&mut self, number: u64) -> Option<Process> {
        let process = self.house.processes.remove(&number)?;
        self.account(process.driver.engine().stats());
        let of: Vec<u64> = self.net.open.iter().filter(|(_, c)| c.scheduler == number).map(|(n, _)| *n).collect();
        for connection in of {
            self.hang_up(End::Scheduler, connection, true);
        }
        Some(process)
    }

    pub(crate) fn account(&mut self, stats: Stats) {
        self.report.lost += stats.lost;
        self.report.refused += stats.refused.total();
        for (why, n) in stats.refused.iter() {
            match why {
                _ if n == 0 => {}
                engine::Refusal::GivenUp => self.sometimes(Rare::ReturnedTooLate),
                engine::Refusal::Over | engine::Refusal::OtherWorker | engine::Refusal::OtherIncarnation => {
                    self.sometimes(Rare::ReportRefused);
                }
            }
        }
        if stats.trimmed > 0 {
            self.sometimes(Rare::Trimmed);
        }
    }

    /// What time a scheduler has.
    pub(crate) fn time_of(&self, number: u64) -> Now {
        let process = self.house.processes.get(&number);
        process.map_or_else(Now::default, |process| process.clock.read(self.now))
    }

    /// Gives a scheduler an input, if it is up.
    pub(crate) fn tell(&mut self, number: u64, input: Input) {
        if let Some(process) = self.house.processes.get_mut(&number) {
            process.driver.push(input);
            self.turn(number, None);
        }
    }

    pub(crate) fn tick_scheduler(&mut self, number: u64) {
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        process.ticking = false;
        self.turn(number, None);
    }

    /// Lets a driver go on, after a step that it has asked for already.
    fn turn(&mut self, number: u64, mut first: Option<Step>) {
        let now = self.time_of(number);
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        let mut jobs = 0;
        let mut early = Vec::new();
        while let Some(step) = first.take().or_else(|| process.driver.poll(now)) {
            process.jobs.push_back(match step {
                Step::Ask(needs) => Job::Facts(needs),
                Step::Ahead(want) => Job::Ahead(want),
                Step::Commit(batch) => {
                    if self.plan.plant == Some(Plant::AckBeforeCommit) {
                        early = process.driver.committed();
                    }
                    Job::Commit(batch)
                }
            });
            jobs += 1;
            if !early.is_empty() {
                break;
            }
        }
        let due = process.driver.next_deadline().filter(|_| !process.ticking);
        process.ticking |= due.is_some();
        assert!(process.driver.backlog() < BACKLOG, "the inbox is bounded");
        let due = due.map(|due| process.clock.truth(due).max(self.now));
        // The writer does one job after the other: each takes a while from now on.
        for _ in 0..jobs {
            let delay = self.rng.ms(1, 10);
            self.after(delay, Happening::Job { process: number });
        }
        if let Some(due) = due {
            self.at(due, Happening::SchedulerTick { process: number });
        }
        if !early.is_empty() {
            self.release(number, early);
        }
    }

    /// The writer's thread does its next job; the loop hears of it a little later.
    pub(crate) fn job(&mut self, number: u64) {
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        let epoch = process.epoch;
        let Some(job) = process.jobs.pop_front() else { return };
        let answer = match job {
            Job::Facts(needs) => self.facts(epoch, &needs).map(Answer::Facts),
            Job::Ahead(want) => self.ahead(epoch, &want).map(Answer::Ahead),
            Job::Commit(batch) => self.commit(&batch).map(|_| Answer::Committed),
        };
        let when = self.now + self.rng.ms(0, 3);
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        process.answers.push_back(answer.unwrap_or_else(Answer::Failed));
        process.answered = process.answered.max(when);
        let when = process.answered;
        self.at(when, Happening::Answer { process: number });
    }

    /// The loop takes the writer's next answer.
    pub(crate) fn answer(&mut self, number: u64) {
        let now = self.time_of(number);
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        match process.answers.pop_front() {
            None => {}
            Some(Answer::Facts(facts)) => {
                let step = process.driver.facts(now, facts);
                return self.turn(number, step);
            }
            Some(Answer::Ahead(ahead)) => process.driver.ahead(now, ahead),
            // Its effects have left already.
            Some(Answer::Committed) if self.plan.plant == Some(Plant::AckBeforeCommit) => {}
            Some(Answer::Committed) => {
                let effects = process.driver.committed();
                self.check_books(number);
                self.release(number, effects);
            }
            Some(Answer::Failed(failure)) => return self.fail(number, &failure),
        }
        self.turn(number, None);
    }

    /// The one recovery path: callers are answered, workers cut off, and the process begins a new reign.
    fn fail(&mut self, number: u64, failure: &Failure) {
        let Some(process) = self.take_down(number) else { return };
        let outcome = match failure {
            Failure::Unknown(_) => Outcome::Unknown,
            Failure::Definite(_) => Outcome::Refused,
        };
        for (Caller(call), reply) in process.driver.fail(outcome) {
            let delay = self.delay();
            self.after(delay, Happening::Reply { call, reply });
        }
        self.after(Duration::from_millis(200), Happening::SchedulerStart);
    }

    fn release(&mut self, number: u64, effects: Vec<Effect>) {
        let mut orders: BTreeMap<SessionId, Vec<Order>> = BTreeMap::new();
        if self.house.reigning() != Some(number) && !effects.is_empty() {
            self.sometimes(Rare::LateEffects);
        }
        self.check_proof(number, &effects);
        for effect in effects {
            match effect {
                Effect::Reply(Caller(call), reply) => {
                    let delay = self.delay();
                    self.after(delay, Happening::Reply { call, reply });
                }
                Effect::Order(session, order) => orders.entry(session).or_default().push(order),
                Effect::Publish { event, tail: _ } => {
                    if let EventKind::AttemptEnded(domain::Ending::Recalled, _) = event.kind {
                        self.sometimes(Rare::Recalled);
                    }
                    self.published(number, &event);
                }
                Effect::Close(session, error) => {
                    if error.text().starts_with("no message for") {
                        self.sometimes(Rare::SchedulerNoticed);
                    }
                    if error.text().starts_with("worker_id: another worker") {
                        self.sometimes(Rare::NameTaken);
                    }
                    self.send_orders(number, session, orders.remove(&session).unwrap_or_default());
                    self.close_session(number, session);
                }
                Effect::Waited(_) => {}
            }
        }
        for (session, orders) in orders {
            self.send_orders(number, session, orders);
        }
    }

    /// G5: a worker is told nothing before a commit has proved that the reign is the current one, empty or not. A commit that
    /// was only said to be durable is found elsewhere.
    fn check_proof(&mut self, number: u64, effects: &[Effect]) {
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        process.released += 1;
        let proofs = self.disk.proofs.get(&process.epoch).copied().unwrap_or(0);
        let order = effects.iter().find(|effect| matches!(effect, Effect::Order(..)));
        assert!(proofs >= process.released || order.is_none(), "an order leaves without a proof: {order:?}");
    }

    fn close_session(&mut self, number: u64, session: SessionId) {
        if let Some(process) = self.house.processes.get_mut(&number) {
            process.sessions.remove(&session);
        }
        self.hang_up(End::Scheduler, session.0, true);
    }

    fn send_orders(&mut self, number: u64, session: SessionId, mut orders: Vec<Order>) {
        let welcome = orders.iter().any(|order| matches!(order, Order::Welcome(_)));
        let reader = self.disk.store.reader();
        let over = |a: &AttemptId| reader.task(a.task).ok().flatten().is_some_and(|t| t.live_id() != Some(*a));
        if !welcome && orders.iter().any(|order| matches!(order, Order::Kill(attempt) if over(attempt))) {
            self.sometimes(Rare::Overdue);
        }
        if welcome {
            self.plant_in_orders(&mut orders);
        }
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        let Some(sent) = process.sessions.get_mut(&session) else { return };
        let batch = OrderBatch { shard: SHARD, epoch: process.epoch, sequence: *sent + 1, orders };
        *sent += batch.orders.len() as u64;
        let connection = session.0;
        self.send(End::Worker, connection, Happening::ToWorker { connection, batch });
    }

    /// Planted: kill orders that a returning worker needs are left out.
    fn plant_in_orders(&mut self, orders: &mut Vec<Order>) {
        let Some(plant @ (Plant::KillNotResent | Plant::KillOnLossOmitted)) = self.plan.plant else { return };
        let reader = self.disk.store.reader();
        let live = |a: &AttemptId| reader.task(a.task).ok().flatten().is_some_and(|t| t.live_id() == Some(*a));
        orders.retain(|order| match order {
            Order::Kill(attempt) => live(attempt) != (plant == Plant::KillNotResent),
            Order::Welcome(_) | Order::Start(_) | Order::Recall(_) | Order::Forget(_) | Order::Drain => true,
        });
    }

    /// The number that the next order of a session has, and the reign's epoch.
    pub(crate) fn next_order(&self, number: u64, connection: u64) -> Option<u64> {
        self.house.processes.get(&number)?.sessions.get(&SessionId(connection)).map(|sent| sent + 1)
    }

    /// A worker's connection ended, as its scheduler sees it.
    pub(crate) fn closed_at_scheduler(&mut self, connection: u64) {
        let Some(number) = self.net.open.get(&connection).map(|c| c.scheduler) else { return };
        let session = SessionId(connection);
        if let Some(process) = self.house.processes.get_mut(&number) {
            process.sessions.remove(&session);
        }
        self.hang_up(End::Scheduler, connection, false);
        self.tell(number, Input::Closed { session });
    }

    /// A message of a worker arrives.
    pub(crate) fn hear(&mut self, connection: u64, message: ToScheduler) {
        if !self.arrives(End::Scheduler, connection) {
            return;
        }
        let Some((number, worker)) = self.net.open.get(&connection).map(|c| (c.scheduler, c.worker)) else { return };
        if let ToScheduler::Hello(hello) = &message {
            self.check_return(worker, hello);
        }
        self.workers[worker].heard = self.now;
        let session = SessionId(connection);
        let Some(process) = self.house.processes.get_mut(&number) else { return };
        match message {
            ToScheduler::Hello(hello) => {
                process.sessions.insert(session, 0);
                self.tell(number, Input::Hello { session, hello: Box::new(hello) });
            }
            ToScheduler::Update { mut reports, offer } => {
                if !process.sessions.contains_key(&session) {
                    return;
                }
                if reports.is_empty() {
                    self.send_orders(number, session, Vec::new());
                }
                self.plant_in_reports(connection, &mut reports);
                self.tell(number, Input::Update { session, reports, offer });
            }
        }
    }

    /// Planted: a report counts for whatever attempt of the task its worker holds now, and before its output is stored.
    fn plant_in_reports(&mut self, connection: u64, reports: &mut [domain::Report]) {
        if self.plan.plant == Some(Plant::ResultNotFenced) {
            self.unfence(connection, reports);
        }
        if self.plan.plant == Some(Plant::ResultBeforeOutput) {
            let Some(number) = self.net.open.get(&connection).map(|c| c.scheduler) else { return };
            for report in reports.iter() {
                if let domain::ReportKind::Exited { totals, .. } = &report.kind {
                    let (attempt, frames) = (report.attempt, totals.frames);
                    self.tell(number, Input::OutputStored { attempt, frames });
                }
            }
        }
    }

    /// Planted: the result of an attempt that is over is heard as that of the one under way, wherever that is.
    fn unfence(&mut self, connection: u64, reports: &[domain::Report]) {
        let Some(scheduler) = self.net.open.get(&connection).map(|c| c.scheduler) else { return };
        let reader = self.disk.store.reader();
        for report in reports.iter().filter(|report| matches!(report.kind, domain::ReportKind::Exited { .. })) {
            let task = reader.task(report.attempt.task).ok().flatten();
            let live = task.as_ref().and_then(|task| task.state.live()).filter(|live| live.no != report.attempt.no);
            let Some(live) = live else { continue };
            let holder =
                |c: &crate::net::Connection| c.scheduler == scheduler && self.workers[c.worker].id() == live.worker;
            let Some(session) = self.net.open.iter().rev().find(|(_, c)| holder(c)).map(|(n, _)| SessionId(*n)) else {
                continue;
            };
            let attempt = AttemptId { no: live.no, ..report.attempt };
            let reports = vec![domain::Report { number: 1, attempt, kind: report.kind.clone() }];
            self.tell(scheduler, Input::Update { session, reports, offer: None });
        }
    }

    /// Frames arrive, are durable after a while, and are acknowledged – if the reign that stores them is the current one:
    /// what is acknowledged is dropped by the worker, so it must have been proved (GUARANTEES G5).
    pub(crate) fn store_frames(&mut self, connection: u64, frames: Vec<domain::Frame>) {
        if !self.arrives(End::Scheduler, connection) {
            return;
        }
        let Some(number) = self.net.open.get(&connection).map(|c| c.scheduler) else { return };
        let Some(process) = self.house.processes.get(&number) else { return };
        if process.epoch != self.disk.epoch {
            self.sometimes(Rare::LateOutput);
            // It learns from the output's store that it is deposed.
            return self.fail(number, &Failure::Definite(store::Reason::StaleEpoch));
        }
        let mut attempts = BTreeSet::new();
        for frame in frames {
            attempts.insert(frame.attempt);
            let dropped = self.plan.plant == Some(Plant::OutputDropped) && self.rng.percent(3);
            if dropped {
                // Its place is taken all the same, so that nobody asks for it again.
                self.checks.dropped.insert((frame.attempt, frame.number));
            }
            self.house.output.entry(frame.attempt).or_default().insert(frame.number);
        }
        for attempt in attempts {
            let number_stored = self.house.stored(attempt);
            self.tell(number, Input::OutputStored { attempt, frames: number_stored });
            let acked = Happening::Acked { connection, attempt, number: number_stored };
            self.send(End::Worker, connection, acked);
        }
    }

    /// All tasks have ended, by the store's numbers.
    pub(crate) fn all_ended(&self) -> bool {
        let counts = self.disk.store.reader().counts();
        counts.is_ok_and(|counts| counts.sum(|word: StateWord| !word.is_final()) == 0)
    }
}
