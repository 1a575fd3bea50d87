//! A worker: its process with the session, and its keeper with the tasks' processes, which outlives it.

use crate::world::{Happening, Plant, Why, World};
use domain::{
    AttemptId, Exit, Frame, HeldAttempt, HeldPhase, Hello, Incarnation, KillLevel, OrderBatch, Run, Start, StreamName,
    Totals, UnixMillis, WorkerId,
};
use session::{Effect, Input, Known, Session, SessionConfig};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A machine with a worker.
pub(crate) struct Worker {
    name: String,
    slots: u32,
    known: Known,
    /// The process: its number, its session, its connection.
    process: Option<Process>,
    processes: u64,
    keeper: Keeper,
}

struct Process {
    number: u64,
    session: Session,
    connection: Option<u64>,
}

/// The keeper: what runs, and what is kept until it is acknowledged.
#[derive(Default)]
struct Keeper {
    number: u64,
    kept: BTreeMap<AttemptId, Kept>,
}

struct Kept {
    frames: Vec<Frame>,
    totals: Totals,
    exit: Option<Exit>,
    killed: bool,
}

impl Worker {
    pub fn new(number: usize, slots: u32) -> Self {
        Self {
            name: format!("w{number}"),
            slots,
            known: Known::default(),
            process: None,
            processes: 0,
            keeper: Keeper::default(),
        }
    }

    /// Nothing runs and nothing waits to be acknowledged.
    pub fn is_idle(&self) -> bool {
        self.keeper.kept.is_empty() && self.process.as_ref().is_some_and(|p| p.session.held().next().is_none())
    }

    /// Attempts whose processes run.
    pub fn running(&self) -> impl Iterator<Item = AttemptId> {
        self.keeper.kept.iter().filter(|(_, kept)| kept.exit.is_none()).map(|(attempt, _)| *attempt)
    }

    fn hello(&self) -> Hello {
        Hello {
            worker: WorkerId::new(&self.name),
            incarnation: Incarnation("boot".into()),
            labels: BTreeMap::new(),
            shell: true,
            handlers: BTreeSet::new(),
            demo: false,
            highest_epoch: domain::Epoch::default(),
            held: Vec::new(),
            slots: self.slots,
            address: String::new(),
            kill_level: Some(KillLevel::CgroupV2),
            version: String::new(),
        }
    }
}

impl World {
    pub(crate) fn start_worker(&mut self, worker: usize) {
        let me = &mut self.workers[worker];
        if me.process.is_some() {
            return;
        }
        me.processes += 1;
        let number = me.processes;
        let config = SessionConfig { hello: me.hello(), prefetch_max: 8, known: me.known.clone() };
        let mut session = Session::new(config);
        let held = |(attempt, kept): (&AttemptId, &Kept)| {
            let phase = if kept.exit.is_some() { HeldPhase::Exited } else { HeldPhase::Running };
            HeldAttempt { attempt: *attempt, phase, totals: kept.totals }
        };
        session.handle(self.now, Input::Kept(me.keeper.kept.iter().map(held).collect()));
        for (attempt, kept) in &me.keeper.kept {
            for frame in &kept.frames {
                session.handle(self.now, Input::Frame(frame.clone()));
            }
            if let Some(exit) = &kept.exit {
                session.handle(self.now, exited(*attempt, exit, kept.totals));
            }
        }
        me.process = Some(Process { number, session, connection: None });
        self.after(Duration::ZERO, Happening::Connect { worker, process: number });
        self.after(Duration::from_millis(250), Happening::WorkerTick { worker, process: number });
        self.flush(worker);
    }

    pub(crate) fn crash_worker(&mut self, worker: usize) {
        self.cut(worker);
        if self.workers[worker].process.take().is_some() {
            let delay = self.rng.ms(1, 90_000);
            self.after(delay, Happening::WorkerStart { worker });
        }
    }

    /// The keeper dies, and what it ran with it: swept by the worker.
    pub(crate) fn crash_keeper(&mut self, worker: usize) {
        let me = &mut self.workers[worker];
        me.keeper.number += 1;
        let kept = std::mem::take(&mut me.keeper.kept);
        if let Some(process) = &mut me.process {
            for attempt in kept.keys() {
                process.session.handle(self.now, Input::KeeperLost { attempt: *attempt });
            }
            self.flush(worker);
        }
    }

    pub(crate) fn connect_worker(&mut self, worker: usize, number: u64) {
        let up = self.scheduler.process.is_some();
        let Some(process) = self.workers[worker].process.as_ref().filter(|p| p.number == number) else { return };
        if process.connection.is_some() {
            return;
        }
        if !up {
            let delay = self.rng.ms(100, 2_000);
            return self.after(delay, Happening::Connect { worker, process: number });
        }
        let connection = self.connect(worker);
        if let Some(process) = &mut self.workers[worker].process {
            process.connection = Some(connection);
            process.session.handle(self.now, Input::Connected);
            process.session.handle(self.now, Input::OutputConnected);
        }
        self.flush(worker);
    }

    /// Breaks a worker's connection: what is under way is lost, and both sides notice, the scheduler perhaps later.
    pub(crate) fn cut(&mut self, worker: usize) {
        let Some(process) = &mut self.workers[worker].process else { return };
        let Some(connection) = process.connection.take() else { return };
        let number = process.number;
        process.session.handle(self.now, Input::Disconnected);
        process.session.handle(self.now, Input::OutputDisconnected);
        self.connections.remove(&connection);
        self.tell(engine::Input::Closed { session: engine::SessionId(connection) });
        let delay = self.rng.ms(100, 2_000);
        self.after(delay, Happening::Connect { worker, process: number });
        self.flush(worker);
    }

    pub(crate) fn tick_worker(&mut self, worker: usize, number: u64) {
        let Some(process) = self.workers[worker].process.as_mut().filter(|p| p.number == number) else { return };
        process.session.handle(self.now, Input::Tick);
        self.after(Duration::from_millis(250), Happening::WorkerTick { worker, process: number });
        self.flush(worker);
        if !self.calm && self.rng.percent(25) {
            self.misfortune(worker);
        }
    }

    /// The storm: about once a second and worker, something may break.
    fn misfortune(&mut self, worker: usize) {
        if self.rng.percent(self.faults.cut) {
            self.after(Duration::ZERO, Happening::Cut { worker });
        }
        if self.rng.percent(self.faults.worker_crash) {
            self.after(Duration::ZERO, Happening::WorkerCrash { worker });
        }
        if self.rng.percent(self.faults.keeper_crash) {
            self.after(Duration::ZERO, Happening::KeeperCrash { worker });
        }
        if self.rng.percent(self.faults.scheduler_crash) {
            self.after(Duration::ZERO, Happening::SchedulerCrash);
        }
    }

    /// Orders arrive.
    pub(crate) fn order(&mut self, connection: u64, batch: OrderBatch) {
        let Some(worker) = self.connections.get(&connection).map(|c| c.worker) else { return };
        let Some(process) = &mut self.workers[worker].process else { return };
        process.session.handle(self.now, Input::Orders(batch));
        self.flush(worker);
    }

    pub(crate) fn acked(&mut self, connection: u64, attempt: AttemptId, number: u64) {
        let Some(worker) = self.connections.get(&connection).map(|c| c.worker) else { return };
        let Some(process) = &mut self.workers[worker].process else { return };
        process.session.handle(self.now, Input::FramesAcked { attempt, number });
        self.flush(worker);
    }

    /// Does what the session wants.
    fn flush(&mut self, worker: usize) {
        loop {
            let Some(process) = &mut self.workers[worker].process else { return };
            let effects = process.session.drain(self.now);
            if effects.is_empty() {
                return;
            }
            let connection = process.connection;
            for effect in effects {
                self.carry_out(worker, connection, effect);
            }
        }
    }

    fn carry_out(&mut self, worker: usize, connection: Option<u64>, effect: Effect) {
        match effect {
            Effect::Send(message) => {
                let Some(connection) = connection else { return };
                self.send_up(connection, |connection| Happening::ToScheduler { connection, message });
            }
            Effect::SendFrames(frames) => {
                let frames = frames.iter().map(|f| Frame::clone(f)).collect();
                let Some(connection) = connection else { return };
                self.send_up(connection, |connection| Happening::Frames { connection, frames });
            }
            Effect::Start(start) => self.start_process(worker, &start),
            Effect::Kill(attempt) => {
                let keeper = &mut self.workers[worker].keeper;
                let number = keeper.number;
                if let Some(kept) = keeper.kept.get_mut(&attempt).filter(|k| k.exit.is_none() && !k.killed) {
                    kept.killed = true;
                    let delay = self.rng.ms(1, 5_000);
                    self.after(delay, Happening::Exit { worker, keeper: number, attempt, why: Why::Killed });
                }
            }
            Effect::Release { attempt, frame } => {
                if let Some(kept) = self.workers[worker].keeper.kept.get_mut(&attempt) {
                    kept.frames.retain(|f| f.number > frame);
                }
            }
            Effect::Drop(attempt) => {
                let kept = self.workers[worker].keeper.kept.remove(&attempt);
                assert!(kept.is_none_or(|k| k.exit.is_some()), "{attempt:?} is dropped while it runs");
            }
            Effect::Remember(known) => self.workers[worker].known = known,
            Effect::Disconnect(_) => self.cut(worker),
        }
    }

    fn start_process(&mut self, worker: usize, start: &Start) {
        let attempt = start.attempt;
        self.checks.started(attempt);
        if self.plan.plant == Some(Plant::DoubleStart) && self.rng.percent(1) {
            self.checks.started(attempt);
        }
        self.report.attempts += 1;
        let frames = self.draw_frames(attempt);
        let mut totals = Totals::default();
        frames.iter().for_each(|f| totals.add(f));
        let endless = matches!(&start.spec.run, Run::Shell(shell) if shell.command == "endless");
        let runs = if endless {
            Duration::MAX
        } else if self.rng.percent(50) {
            self.rng.ms(0, 15)
        } else {
            self.rng.ms(1, 30_000)
        };
        let limit = start.spec.timeout.unwrap_or(Duration::MAX);
        let (runs, why) = if limit <= runs { (limit, Why::Timeout) } else { (runs, Why::Itself) };
        let me = &mut self.workers[worker];
        let number = me.keeper.number;
        me.keeper.kept.insert(attempt, Kept { frames: frames.clone(), totals, exit: None, killed: false });
        let running = me.running().count();
        assert!(running <= me.slots as usize, "{running} attempts run on {} slots", me.slots);
        if let Some(process) = &mut me.process {
            process.session.handle(self.now, Input::Started { attempt });
            for frame in frames {
                process.session.handle(self.now, Input::Frame(frame));
            }
        }
        if runs < Duration::MAX {
            self.after(runs, Happening::Exit { worker, keeper: number, attempt, why });
        }
    }

    /// Most write little, some more than fits into an exit report.
    fn draw_frames(&mut self, attempt: AttemptId) -> Vec<Frame> {
        let (count, bytes) = if self.rng.percent(10) { (4, 20_000) } else { (self.rng.below(3), 8) };
        let frame = |number: u64| Frame {
            attempt,
            number,
            stream: StreamName::Stdout,
            offset: (number - 1) * bytes,
            at: UnixMillis(0),
            data: vec![0; usize::try_from(bytes).unwrap_or(0)],
            dropped: 0,
        };
        (1..=count).map(frame).collect()
    }

    /// A process ends.
    pub(crate) fn exit(&mut self, worker: usize, keeper: u64, attempt: AttemptId, why: Why) {
        let failed = self.rng.percent(20);
        let me = &mut self.workers[worker];
        if me.keeper.number != keeper {
            return;
        }
        let Some(kept) = me.keeper.kept.get_mut(&attempt).filter(|k| k.exit.is_none()) else { return };
        let exit = match why {
            Why::Itself => Exit::Code(i32::from(failed)),
            Why::Timeout => Exit::TimedOut(Duration::from_secs(20)),
            Why::Killed => Exit::Killed,
        };
        kept.exit = Some(exit.clone());
        self.checks.exited(attempt, &exit, kept.totals);
        let input = exited(attempt, &exit, kept.totals);
        if let Some(process) = &mut me.process {
            process.session.handle(self.now, input);
            self.flush(worker);
        }
    }
}

fn exited(attempt: AttemptId, exit: &Exit, totals: Totals) -> Input {
    Input::Exited { attempt, exit: exit.clone(), totals, result: Vec::new(), run_us: 1_000, tree_gone: true }
}
