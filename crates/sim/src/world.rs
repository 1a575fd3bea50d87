//! The world: virtual time, the queue of what happens next, connections, and the dice.

use crate::{check::Checks, client::Client, rng::Rng, scheduler::Scheduler, worker::Worker};
use domain::{AttemptId, Frame, Monotonic, Now, OrderBatch, TaskId, UnixMillis};
use engine::Reply;
use session::ToScheduler;
use std::{collections::BTreeMap, fmt, time::Duration};

/// The storm lasts so long, the calm at most so long.
const STORM: Duration = Duration::from_secs(120);
const CALM: Duration = Duration::from_secs(1_200);
/// More steps than any world needs: a livelock ends here.
const STEPS: u64 = 2_000_000;

/// A bug planted on purpose, which the checks must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    /// A commit is told to be durable and isn't.
    LyingDisk,
    /// An order to start is carried out twice.
    DoubleStart,
}

impl Plant {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "lying-disk" => Some(Self::LyingDisk),
            "double-start" => Some(Self::DoubleStart),
            _ => None,
        }
    }
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Print each step.
    pub trace: bool,
    /// A bug to plant.
    pub plant: Option<Plant>,
}

/// What a run saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Hash of the trace.
    pub hash: u64,
    /// Steps.
    pub steps: u64,
    /// Tasks that ended.
    pub tasks: u64,
    /// Attempts that were started.
    pub attempts: u64,
    /// Attempts that were lost.
    pub lost: u64,
    /// Commits whose outcome was unknown and that were applied.
    pub unknown_applied: u64,
    /// Reports refused.
    pub refused: u64,
    /// Members of arrays among the tasks.
    pub members: u64,
    /// Tasks that were run again as new ones.
    pub retried: u64,
    /// The most tasks that were in memory at once.
    pub peak: u64,
}

impl Report {
    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.hash ^= other.hash;
        self.steps += other.steps;
        self.tasks += other.tasks;
        self.attempts += other.attempts;
        self.lost += other.lost;
        self.unknown_applied += other.unknown_applied;
        self.refused += other.refused;
        self.members += other.members;
        self.retried += other.retried;
        self.peak = self.peak.max(other.peak);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash: _, steps, tasks, attempts, lost, unknown_applied, refused, members, retried, peak } = self;
        write!(f, "{steps} steps, {tasks} tasks ({members} of arrays), {attempts} attempts, {lost} lost, ")?;
        write!(f, "{retried} retried, {unknown_applied} unknown commits applied, {refused} reports refused, ")?;
        write!(f, "at most {peak} tasks in memory")
    }
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum Happening {
    SchedulerStart,
    SchedulerCrash,
    SchedulerTick { reign: u64 },
    Job { reign: u64 },
    WorkerStart { worker: usize },
    WorkerCrash { worker: usize },
    WorkerTick { worker: usize, process: u64 },
    KeeperCrash { worker: usize },
    Connect { worker: usize, process: u64 },
    Cut { worker: usize },
    ToScheduler { connection: u64, message: ToScheduler },
    ToWorker { connection: u64, batch: OrderBatch },
    Frames { connection: u64, frames: Vec<Frame> },
    Acked { connection: u64, attempt: AttemptId, number: u64 },
    Exit { worker: usize, keeper: u64, attempt: AttemptId, why: Why },
    Client,
    Answer { call: u64, reply: Reply },
    GiveUp { call: u64 },
}

/// Why a simulated process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    Itself,
    Timeout,
    Killed,
}

/// Everything.
pub(crate) struct World {
    pub now: Monotonic,
    pub rng: Rng,
    pub faults: Faults,
    pub calm: bool,
    pub plan: Plan,
    queue: BTreeMap<(Monotonic, u64), Happening>,
    last: u64,
    pub scheduler: Scheduler,
    pub workers: Vec<Worker>,
    pub client: Client,
    pub checks: Checks,
    /// Open connections: which worker, and until when each direction is busy (FIFO).
    pub connections: BTreeMap<u64, Connection>,
    pub report: Report,
}

/// A worker's connection to the scheduler.
pub(crate) struct Connection {
    pub worker: usize,
    up: Monotonic,
    down: Monotonic,
}

/// Which faults this seed has, and how often, in percent a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub scheduler_crash: u64,
    pub worker_crash: u64,
    pub keeper_crash: u64,
    pub cut: u64,
    /// Percent of commits.
    pub bad_commit: u64,
    pub slow_net: bool,
}

impl Faults {
    /// 10 % of the seeds have none, 25 % a single kind, the others a mixture.
    fn draw(rng: &mut Rng) -> Self {
        let mut faults = Self {
            scheduler_crash: 0,
            worker_crash: 0,
            keeper_crash: 0,
            cut: 0,
            bad_commit: 0,
            slow_net: rng.percent(30),
        };
        let which = match rng.below(100) {
            0..10 => 0,
            10..35 => 1 << rng.below(5),
            _ => rng.below(32),
        };
        let mut hard = |bit: u64, most: u64| if which & bit == 0 { 0 } else { 1 + rng.below(most) };
        faults.scheduler_crash = hard(1, 5);
        faults.worker_crash = hard(2, 8);
        faults.keeper_crash = hard(4, 4);
        faults.cut = hard(8, 20);
        faults.bad_commit = hard(16, 3);
        faults
    }
}

/// Runs a world to its end.
///
/// # Panics
/// If anything that must hold doesn't.
pub fn run(plan: Plan) -> Report {
    let mut rng = Rng::new(plan.seed);
    let faults = Faults::draw(&mut rng);
    let workers = (0..1 + rng.below(3)).map(|n| Worker::new(n as usize, 1 + rng.below(3) as u32)).collect();
    let mut world = World {
        now: Monotonic::default(),
        faults,
        calm: false,
        plan,
        queue: BTreeMap::new(),
        last: 0,
        scheduler: Scheduler::default(),
        workers,
        client: Client::new(5 + rng.below(30)),
        checks: Checks::default(),
        connections: BTreeMap::new(),
        report: Report::default(),
        rng,
    };
    world.after(Duration::ZERO, Happening::SchedulerStart);
    for worker in 0..world.workers.len() {
        let delay = world.rng.ms(0, 500);
        world.after(delay, Happening::WorkerStart { worker });
    }
    world.after(Duration::from_millis(5), Happening::Client);
    world.live();
    world.check_end();
    world.report
}

impl World {
    /// Lets something happen later.
    pub fn after(&mut self, delay: Duration, what: Happening) {
        self.at(self.now + delay, what);
    }

    fn at(&mut self, when: Monotonic, what: Happening) {
        self.last += 1;
        self.queue.insert((when, self.last), what);
    }

    /// Both clocks. The wall clock is far from the monotonic one, and jumps when the storm is over.
    pub fn clocks(&self) -> Now {
        let jump = if self.calm { -3_600_000 } else { 0 };
        let wall = 1_700_000_000_000 + i64::try_from(self.now.0.as_millis()).unwrap_or(0) + jump;
        Now { mono: self.now, wall: UnixMillis(wall) }
    }

    /// Delay of one message.
    pub fn delay(&mut self) -> Duration {
        if self.faults.slow_net && self.rng.percent(5) { self.rng.ms(50, 3_000) } else { self.rng.ms(0, 5) }
    }

    /// Opens a connection and returns its number.
    pub fn connect(&mut self, worker: usize) -> u64 {
        self.last += 1;
        let connection = Connection { worker, up: self.now, down: self.now };
        self.connections.insert(self.last, connection);
        self.last
    }

    /// Sends to the scheduler, in order.
    pub fn send_up(&mut self, connection: u64, what: impl FnOnce(u64) -> Happening) {
        let when = self.now + self.delay();
        let Some(link) = self.connections.get_mut(&connection) else { return };
        link.up = link.up.max(when);
        let when = link.up;
        self.at(when, what(connection));
    }

    /// Sends to the worker, in order.
    pub fn send_down(&mut self, connection: u64, what: impl FnOnce(u64) -> Happening) {
        let when = self.now + self.delay();
        let Some(link) = self.connections.get_mut(&connection) else { return };
        link.down = link.down.max(when);
        let when = link.down;
        self.at(when, what(connection));
    }

    fn live(&mut self) {
        let end = Monotonic(STORM + CALM);
        while let Some(((when, _), what)) = self.queue.pop_first() {
            assert!(self.report.steps < STEPS, "livelock: {STEPS} steps");
            self.now = when;
            if !self.calm && when.0 >= STORM {
                self.calm = true;
                self.client.storm_is_over(self.workers.len());
            }
            if when > end || (self.calm && self.settled()) {
                return;
            }
            self.step(what);
        }
    }

    /// Everything that was accepted has ended, and nobody waits or runs.
    fn settled(&self) -> bool {
        self.client.is_done() && self.scheduler.is_idle() && self.workers.iter().all(Worker::is_idle)
    }

    fn step(&mut self, what: Happening) {
        self.report.steps += 1;
        if self.plan.trace {
            println!("{:>10.3} {what:?}", self.now.0.as_secs_f64());
        }
        self.hash(&what);
        match what {
            Happening::SchedulerStart => self.start_scheduler(),
            Happening::SchedulerCrash => self.crash_scheduler(),
            Happening::SchedulerTick { reign } => self.tick_scheduler(reign),
            Happening::Job { reign } => self.job(reign),
            Happening::WorkerStart { worker } => self.start_worker(worker),
            Happening::WorkerCrash { worker } => self.crash_worker(worker),
            Happening::WorkerTick { worker, process } => self.tick_worker(worker, process),
            Happening::KeeperCrash { worker } => self.crash_keeper(worker),
            Happening::Connect { worker, process } => self.connect_worker(worker, process),
            Happening::Cut { worker } => self.cut(worker),
            Happening::ToScheduler { connection, message } => self.hear(connection, message),
            Happening::ToWorker { connection, batch } => self.order(connection, batch),
            Happening::Frames { connection, frames } => self.store_frames(connection, frames),
            Happening::Acked { connection, attempt, number } => self.acked(connection, attempt, number),
            Happening::Exit { worker, keeper, attempt, why } => self.exit(worker, keeper, attempt, why),
            Happening::Client => self.client_step(),
            Happening::Answer { call, reply } => self.client_answer(call, reply),
            Happening::GiveUp { call } => self.client_gives_up(call),
        }
    }

    fn hash(&mut self, what: &Happening) {
        let mut hash = self.report.hash ^ self.now.0.as_nanos() as u64;
        for byte in format!("{:?}", std::mem::discriminant(what)).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.report.hash = hash;
    }

    /// The id of the n-th task, as a gateway would draw it.
    pub fn draw_id(&mut self, n: u64) -> TaskId {
        TaskId::from_parts(self.clocks().wall.0.unsigned_abs() + n, 0, (n & 0x7fff) as u16, self.rng.bits())
    }
}
