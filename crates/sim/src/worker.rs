//! A worker's process: the production session, with its I/O done by the world. Its keeper is a process of its own
//! ([`crate::keeper`]), which outlives it.

use crate::{
    clock::Clock,
    keeper::{Command, Keeper, exited},
    net::End,
    plant::Plant,
    rare::Rare,
    world::{Happening, World},
};
use domain::{
    AttemptId, Frame, HeldAttempt, HeldPhase, Hello, Incarnation, KillLevel, Monotonic, OrderBatch, Start, WorkerId,
};
use session::{Effect, Input, Known, Session, SessionConfig};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Time between two ticks of the worker's loop.
const TICK: Duration = Duration::from_millis(500);
/// Attempts that a worker holds, at most: its slots, what is sent ahead, and ends that aren't acknowledged.
const HELD: usize = 9_000;

/// A machine with a worker.
pub(crate) struct Worker {
    name: String,
    pub slots: u32,
    /// On its disk.
    known: Known,
    /// How often the machine was started.
    pub boots: u64,
    pub clock: Clock,
    pub process: Option<Process>,
    processes: u64,
    pub keeper: Keeper,
    /// Since when nothing has disturbed its contact with the scheduler that reigns.
    pub contact: Option<Monotonic>,
    /// When a scheduler last heard of it.
    pub heard: Monotonic,
}

pub(crate) struct Process {
    pub number: u64,
    pub session: Session,
    pub connection: Option<u64>,
    /// It stands still until then.
    pub frozen: Monotonic,
}

impl Worker {
    pub fn new(number: usize, slots: u32, clock: Clock) -> Self {
        Self {
            name: format!("w{number}"),
            slots,
            known: Known::default(),
            boots: 1,
            clock,
            process: None,
            processes: 0,
            keeper: Keeper::default(),
            contact: None,
            heard: Monotonic::default(),
        }
    }

    pub fn id(&self) -> WorkerId {
        WorkerId::new(&self.name)
    }

    /// Nothing runs and nothing waits to be acknowledged.
    pub fn is_idle(&self) -> bool {
        self.keeper.is_empty() && self.process.as_ref().is_some_and(|p| p.session.held().next().is_none())
    }

    /// The newest epoch that it has seen.
    pub fn epoch(&self) -> domain::Epoch {
        self.known.epoch
    }

    fn hello(&self, slots: u32) -> Hello {
        Hello {
            worker: self.id(),
            incarnation: Incarnation(format!("boot-{}", self.boots).into()),
            labels: BTreeMap::new(),
            shell: true,
            docker: false,
            handlers: BTreeSet::new(),
            demo: false,
            opened: 0,
            highest_epoch: domain::Epoch::default(),
            held: Vec::new(),
            slots,
            address: String::new(),
            kill_level: Some(KillLevel::CgroupV2),
            version: String::new(),
        }
    }
}

impl World {
    /// What time it is on a worker's machine.
    pub(crate) fn time_at(&self, worker: usize) -> Monotonic {
        self.workers[worker].clock.read(self.now).mono
    }

    /// Gives a worker's process an input, if it is up.
    pub(crate) fn inform(&mut self, worker: usize, input: Input) {
        let now = self.time_at(worker);
        if let Some(process) = &mut self.workers[worker].process {
            process.session.handle(now, input);
            self.flush(worker);
        }
    }

    pub(crate) fn start_worker(&mut self, worker: usize) {
        let now = self.time_at(worker);
        let slots_ignored = self.plan.plant == Some(Plant::SlotsIgnored);
        let me = &mut self.workers[worker];
        if me.process.is_some() {
            return;
        }
        // What a dead keeper left is swept before anything is said of it.
        me.keeper.orphans.clear();
        me.processes += 1;
        let number = me.processes;
        let hello = me.hello(me.slots + u32::from(slots_ignored));
        let mut session = Session::new(SessionConfig { hello, prefetch_max: 8, known: me.known.clone() });
        let mut kept = Vec::new();
        for (attempt, one) in &me.keeper.kept {
            let phase = if one.exit.is_some() { HeldPhase::Exited } else { HeldPhase::Running };
            kept.push(HeldAttempt { attempt: *attempt, phase, totals: one.released() });
        }
        let adopted = !kept.is_empty();
        session.handle(now, Input::Kept(kept));
        for (attempt, one) in &me.keeper.kept {
            for frame in &one.frames {
                session.handle(now, Input::Frame(frame.clone()));
            }
            if let Some(exit) = &one.exit {
                session.handle(now, exited(*attempt, exit, one.totals));
            }
        }
        me.process = Some(Process { number, session, connection: None, frozen: self.now });
        if adopted {
            self.sometimes(Rare::Adopted);
        }
        self.after(Duration::ZERO, Happening::Connect { worker, process: number });
        self.after(TICK, Happening::WorkerTick { worker, process: number });
        self.flush(worker);
    }

    /// The process is killed; its keeper lives on.
    pub(crate) fn crash_worker(&mut self, worker: usize, tell: bool, back: Duration) {
        if let Some(process) = self.workers[worker].process.take() {
            if let Some(connection) = process.connection {
                self.hang_up(End::Worker, connection, tell);
            }
            self.after(back, Happening::WorkerStart { worker });
        }
    }

    pub(crate) fn connect_worker(&mut self, worker: usize, number: u64) {
        self.workers[worker].contact = None;
        let Some(process) = self.workers[worker].process.as_ref().filter(|p| p.number == number) else { return };
        if process.connection.is_some() {
            return;
        }
        // Usually the one that reigns answers at the address; one that was deposed may as well.
        let all: Vec<u64> = self.house.processes.keys().copied().collect();
        let Some(newest) = all.last().copied() else {
            let delay = self.rng.ms(100, 2_000);
            return self.after(delay, Happening::Connect { worker, process: number });
        };
        let to = if self.rng.percent(70) { newest } else { *self.rng.one(&all) };
        let connection = self.open(worker, number, to);
        if let Some(process) = &mut self.workers[worker].process {
            process.connection = Some(connection);
        }
        self.inform(worker, Input::Connected);
        self.inform(worker, Input::OutputConnected);
    }

    /// The worker's end of its connection is gone: it tries again after a while.
    fn lose_connection(&mut self, worker: usize) {
        let Some(process) = &mut self.workers[worker].process else { return };
        process.connection = None;
        let number = process.number;
        let delay = self.rng.ms(100, 2_000);
        self.after(delay, Happening::Connect { worker, process: number });
        self.inform(worker, Input::Disconnected);
        self.inform(worker, Input::OutputDisconnected);
    }

    /// The worker's process whose connection this is, if it still is.
    fn owner(&self, connection: u64) -> Option<usize> {
        let worker = self.net.open.get(&connection)?.worker;
        let process = self.workers[worker].process.as_ref()?;
        (process.connection == Some(connection)).then_some(worker)
    }

    pub(crate) fn closed_at_worker(&mut self, connection: u64) {
        let owner = self.owner(connection);
        self.hang_up(End::Worker, connection, false);
        if let Some(worker) = owner {
            self.lose_connection(worker);
        }
    }

    pub(crate) fn tick_worker(&mut self, worker: usize, number: u64) {
        if self.workers[worker].process.as_ref().is_none_or(|p| p.number != number) {
            return;
        }
        self.after(TICK, Happening::WorkerTick { worker, process: number });
        self.inform(worker, Input::Tick);
        let held = self.workers[worker].process.as_ref().map_or(0, |p| p.session.held().count());
        assert!(held < HELD, "what a worker holds is bounded");
        self.check_processes(worker);
    }

    /// Orders arrive.
    pub(crate) fn order(&mut self, connection: u64, mut batch: OrderBatch) {
        if !self.arrives(End::Worker, connection) {
            return;
        }
        let Some(worker) = self.owner(connection) else { return };
        let epoch = self.workers[worker].known.epoch;
        if self.plan.plant == Some(Plant::StaleOrderTaken) {
            batch.epoch = batch.epoch.max(epoch);
        }
        self.inform(worker, Input::Orders(batch));
    }

    pub(crate) fn acked(&mut self, connection: u64, attempt: AttemptId, number: u64) {
        if !self.arrives(End::Worker, connection) {
            return;
        }
        if let Some(worker) = self.owner(connection) {
            self.inform(worker, Input::FramesAcked { attempt, number });
        }
    }

    /// Does what the session wants.
    pub(crate) fn flush(&mut self, worker: usize) {
        loop {
            let now = self.time_at(worker);
            let Some(process) = &mut self.workers[worker].process else { return };
            let effects = process.session.drain(now);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out(worker, effect);
            }
        }
    }

    fn carry_out(&mut self, worker: usize, effect: Effect) {
        let connection = self.workers[worker].process.as_ref().and_then(|p| p.connection);
        match effect {
            Effect::Send(message) => {
                let Some(connection) = connection else { return };
                self.send(End::Scheduler, connection, Happening::ToScheduler { connection, message });
            }
            Effect::SendFrames(frames) => {
                let Some(connection) = connection else { return };
                let frames = frames.iter().map(|f| Frame::clone(f)).collect();
                self.send(End::Scheduler, connection, Happening::Frames { connection, frames });
            }
            Effect::Start(start) => self.start_twice(worker, start),
            Effect::Kill(attempt) => self.command(worker, Command::Kill(attempt)),
            Effect::Release { attempt, frame } => self.command(worker, Command::Release(attempt, frame)),
            Effect::Drop(attempt) => self.command(worker, Command::Drop(attempt)),
            Effect::Remember(known) => self.workers[worker].known = known,
            Effect::Disconnect(why) => {
                if why.starts_with("orders of epoch") {
                    self.sometimes(Rare::StaleOrder);
                }
                if why.starts_with("nothing was heard") {
                    self.sometimes(Rare::WorkerNoticed);
                }
                if let Some(connection) = connection {
                    self.hang_up(End::Worker, connection, true);
                }
                self.lose_connection(worker);
            }
        }
    }

    /// Once, unless that is the bug.
    fn start_twice(&mut self, worker: usize, start: Start) {
        if self.plan.plant == Some(Plant::DoubleStart) && self.rng.percent(1) {
            self.command(worker, Command::Start(start.clone()));
        }
        self.command(worker, Command::Start(start));
    }
}
