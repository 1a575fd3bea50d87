//! The world: true time, the queue of what happens next, and the dice.

use crate::{
    check::Checks,
    client::Client,
    clock::Clock,
    disk::Disk,
    keeper::{Command, Why},
    net::Net,
    plan::{Cue, Mix, Moment, Plan, STORM, Script},
    report::Report,
    rng::Rng,
    scheduler::House,
    worker::Worker,
};
use domain::{AttemptId, Frame, Monotonic, OrderBatch};
use engine::Reply;
use session::ToScheduler;
use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

/// The calm lasts at most so long.
const CALM: Duration = Duration::from_secs(1_800);
/// More steps than any world needs: a livelock ends here.
const STEPS: u64 = 400_000;

/// What happens next.
#[derive(Debug)]
pub(crate) enum Happening {
    Cue(usize),
    SchedulerStart,
    SchedulerTick { process: u64 },
    Job { process: u64 },
    Answer { process: u64 },
    ClosedAtScheduler { connection: u64 },
    ToScheduler { connection: u64, message: ToScheduler },
    Frames { connection: u64, frames: Vec<Frame> },
    WorkerStart { worker: usize },
    WorkerTick { worker: usize, process: u64 },
    Connect { worker: usize, process: u64 },
    ClosedAtWorker { connection: u64 },
    ToWorker { connection: u64, batch: OrderBatch },
    Acked { connection: u64, attempt: AttemptId, number: u64 },
    FromKeeper { worker: usize, process: u64, input: Box<session::Input> },
    Flush { worker: usize },
    ToKeeper { worker: usize, keeper: u64, command: Command },
    Exit { worker: usize, keeper: u64, attempt: AttemptId, why: Why },
    Sweep { worker: usize, lost: Vec<AttemptId> },
    Settle,
    Call { call: u64, to: u64, repeated: bool },
    Reply { call: u64, reply: Reply },
    GiveUp { call: u64 },
}

/// Everything.
pub(crate) struct World {
    /// True time: nobody in the world has it.
    pub now: Monotonic,
    pub rng: Rng,
    pub mix: Mix,
    pub calm: bool,
    pub plan: Plan,
    queue: BTreeMap<(Monotonic, u64), Happening>,
    last: u64,
    cues: Vec<Cue>,
    /// Cues whose time has come, and which wait for their moment.
    armed: VecDeque<usize>,
    pub disk: Disk,
    pub house: House,
    pub workers: Vec<Worker>,
    pub net: Net,
    pub client: Client,
    pub checks: Checks,
    pub report: Report,
}

/// What a seed will do, by number: for people who look for what matters.
pub fn cues(seed: u64) -> Vec<Cue> {
    Script::draw(&mut Rng::new(seed).fork()).cues
}

/// Runs a world to its end.
///
/// # Panics
/// If anything that must hold doesn't.
pub fn run(plan: Plan) -> Report {
    let mut rng = Rng::new(plan.seed);
    let Script { mix, cues } = Script::draw(&mut rng.fork());
    let count = 1 + rng.below(3);
    let worker = |n: u64, rng: &mut Rng| {
        let clock = Clock::draw(rng, !mix.skewed_clocks);
        Worker::new(usize::try_from(n).unwrap_or(0), 1 + u32::try_from(rng.below(3)).unwrap_or(0), clock)
    };
    let workers = (0..count).map(|n| worker(n, &mut rng)).collect();
    let mut world = World {
        now: Monotonic::default(),
        mix,
        calm: false,
        queue: BTreeMap::new(),
        last: 0,
        cues: Vec::new(),
        armed: VecDeque::new(),
        disk: Disk::default(),
        house: House::default(),
        workers,
        net: Net::default(),
        client: Client::default(),
        checks: Checks::default(),
        report: Report::default(),
        rng,
        plan,
    };
    world.after(Duration::ZERO, Happening::SchedulerStart);
    for worker in 0..world.workers.len() {
        let delay = world.rng.ms(0, 500);
        world.after(delay, Happening::WorkerStart { worker });
    }
    for (n, cue) in cues.iter().enumerate() {
        if world.plan.only.as_ref().is_none_or(|only| only.contains(&n)) {
            world.at(cue.at, Happening::Cue(n));
        }
    }
    world.cues = cues;
    world.live();
    world.check_end();
    world.report
}

impl World {
    /// Lets something happen later.
    pub fn after(&mut self, delay: Duration, what: Happening) {
        self.at(self.now + delay, what);
    }

    /// Lets something happen at a time.
    pub fn at(&mut self, when: Monotonic, what: Happening) {
        self.last += 1;
        self.queue.insert((when, self.last), what);
    }

    fn live(&mut self) {
        let end = Monotonic(STORM + CALM);
        while let Some(((when, _), what)) = self.queue.pop_first() {
            assert!(self.report.steps < STEPS, "livelock: {STEPS} steps");
            self.now = when;
            if !self.calm && when.0 >= STORM {
                self.calm_down();
            }
            if when > end || (self.calm && self.settled()) {
                return;
            }
            match self.frozen(&what) {
                // FIFO as before: what comes first is put back first.
                Some(until) if until > when => self.at(until, what),
                Some(_) | None => self.step(what),
            }
        }
    }

    /// The storm is over: no new faults, and whoever believes to reign and doesn't is stopped by its operator.
    fn calm_down(&mut self) {
        self.calm = true;
        self.armed.clear();
        self.client.storm_is_over(self.workers.len());
        let deposed: Vec<u64> = self.house.processes.keys().rev().skip(1).copied().collect();
        for number in deposed {
            self.crash_scheduler(number);
        }
        self.after(Duration::ZERO, Happening::Settle);
    }

    /// Everything that was accepted has ended, and nobody waits or runs.
    fn settled(&self) -> bool {
        let idle = self.client.is_done() && self.house.is_idle() && self.workers.iter().all(Worker::is_idle);
        idle && self.all_ended()
    }

    /// Until when the process stands still that this is for.
    fn frozen(&self, what: &Happening) -> Option<Monotonic> {
        let scheduler = |process: &u64| self.house.processes.get(process).map(|p| p.frozen);
        let at_scheduler = |c: &u64| self.net.open.get(c).and_then(|c| scheduler(&c.scheduler));
        let process = |worker: usize| self.workers[worker].process.as_ref().map(|p| p.frozen);
        let at_worker = |c: &u64| {
            let connection = self.net.open.get(c)?;
            let process = self.workers[connection.worker].process.as_ref()?;
            (process.number == connection.process).then_some(process.frozen)
        };
        let keeper = |worker: usize| Some(self.workers[worker].keeper.frozen);
        match what {
            Happening::Cue(_) | Happening::SchedulerStart => None,
            Happening::SchedulerTick { process } | Happening::Job { process } => scheduler(process),
            Happening::Answer { process } | Happening::Call { to: process, .. } => scheduler(process),
            Happening::ClosedAtScheduler { connection } => at_scheduler(connection),
            Happening::ToScheduler { connection, .. } | Happening::Frames { connection, .. } => {
                at_scheduler(connection)
            }
            // It adopts what its keeper tells it, so that must be able to speak.
            Happening::WorkerStart { worker } => keeper(*worker),
            Happening::WorkerTick { worker, .. } | Happening::Connect { worker, .. } => process(*worker),
            Happening::FromKeeper { worker, .. } | Happening::Flush { worker } => process(*worker),
            Happening::Sweep { worker, .. } => process(*worker),
            Happening::ClosedAtWorker { connection } => at_worker(connection),
            Happening::ToWorker { connection, .. } | Happening::Acked { connection, .. } => at_worker(connection),
            Happening::ToKeeper { worker, .. } | Happening::Exit { worker, .. } => keeper(*worker),
            Happening::Settle | Happening::Reply { .. } | Happening::GiveUp { .. } => None,
        }
    }

    fn step(&mut self, what: Happening) {
        self.report.steps += 1;
        if self.plan.trace {
            println!("{:>12.6} {what:?}", self.now.0.as_secs_f64());
        }
        self.hash(&what);
        let moment = moment(&what);
        self.happen(what);
        if let Some(moment) = moment
            && let Some(at) = self.armed.iter().position(|n| self.cues[*n].after == Some(moment))
            && let Some(n) = self.armed.remove(at)
        {
            self.act(n);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Cue(n) if self.cues[n].after.is_some() => self.armed.push_back(n),
            Happening::Cue(n) => self.act(n),
            Happening::SchedulerStart => self.start_scheduler(false),
            Happening::SchedulerTick { process } => self.tick_scheduler(process),
            Happening::Job { process } => self.job(process),
            Happening::Answer { process } => self.answer(process),
            Happening::ClosedAtScheduler { connection } => self.closed_at_scheduler(connection),
            Happening::ToScheduler { connection, message } => self.hear(connection, message),
            Happening::Frames { connection, frames } => self.store_frames(connection, frames),
            Happening::WorkerStart { worker } => self.start_worker(worker),
            Happening::WorkerTick { worker, process } => self.tick_worker(worker, process),
            Happening::Connect { worker, process } => self.connect_worker(worker, process),
            Happening::ClosedAtWorker { connection } => self.closed_at_worker(connection),
            Happening::ToWorker { connection, batch } => self.order(connection, batch),
            Happening::Acked { connection, attempt, number } => self.acked(connection, attempt, number),
            Happening::FromKeeper { worker, process, input } => self.said_late(worker, process, *input),
            Happening::Flush { worker } => self.flush(worker),
            Happening::ToKeeper { worker, keeper, command } => self.command_late(worker, keeper, command),
            Happening::Exit { worker, keeper, attempt, why } => self.exit(worker, keeper, attempt, why),
            Happening::Sweep { worker, lost } => self.sweep(worker, lost),
            Happening::Settle => self.settle_down(),
            Happening::Call { call, to, repeated } => self.called(call, to, repeated),
            Happening::Reply { call, reply } => self.client_answer(call, reply),
            Happening::GiveUp { call } => self.client_gives_up(call),
        }
    }

    fn act(&mut self, n: usize) {
        let Cue { at: _, after: _, act, dice } = self.cues[n].clone();
        self.play(act, Rng::new(dice));
    }

    /// When and in which order what happened; of two runs of one seed every word of it.
    fn hash(&mut self, what: &Happening) {
        let mut hash = self.report.hash;
        let mut mix = |bits: u64| hash = (hash ^ bits).wrapping_mul(0x100_0000_01b3).rotate_left(23);
        mix(u64::try_from(self.now.0.as_nanos()).unwrap_or(0));
        if self.plan.exact {
            format!("{what:?}").bytes().for_each(|byte| mix(byte.into()));
        }
        self.report.hash = hash;
    }
}

/// The moment that this is, for cues that wait for one.
fn moment(what: &Happening) -> Option<Moment> {
    match what {
        Happening::Job { .. } => Some(Moment::Committed),
        Happening::ToWorker { .. } => Some(Moment::Ordered),
        Happening::ToScheduler { .. } => Some(Moment::Heard),
        Happening::Exit { .. } => Some(Moment::Exited),
        Happening::Frames { .. } => Some(Moment::Stored),
        _ => None,
    }
}
