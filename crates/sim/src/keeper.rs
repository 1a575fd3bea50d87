//! The keeper: the process that holds the tasks' processes, and keeps what they wrote until it is acknowledged.

use crate::{
    rare::Rare,
    rng::Rng,
    world::{Happening, World},
};
use domain::{AttemptId, Exit, Frame, FrameNo, Monotonic, Run, Start, StreamName, Totals, UnixMillis};
use session::Input;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// From SIGTERM to SIGKILL, by the keeper's clock.
const GRACE: Duration = Duration::from_secs(5);

/// What a keeper holds.
#[derive(Default)]
pub(crate) struct Keeper {
    pub number: u64,
    pub kept: BTreeMap<AttemptId, Kept>,
    /// Processes that a dead keeper left running, until the worker sweeps them.
    pub orphans: BTreeSet<AttemptId>,
    /// It stands still until then.
    pub frozen: Monotonic,
}

pub(crate) struct Kept {
    pub frames: Vec<Frame>,
    pub totals: Totals,
    pub exit: Option<Exit>,
    /// What it will still write before it ends by itself.
    later: Vec<Frame>,
    killed: bool,
    /// It ignores SIGTERM.
    stubborn: bool,
}

/// What the worker's process tells its keeper.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Start(Start),
    Kill(AttemptId),
    Release(AttemptId, FrameNo),
    Drop(AttemptId),
}

/// Why a simulated process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    Itself,
    Timeout,
    Killed,
}

impl Keeper {
    /// Nothing runs and nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.orphans.is_empty()
    }

    /// Attempts whose processes run.
    pub fn running(&self) -> impl Iterator<Item = AttemptId> {
        let kept = self.kept.iter().filter(|(_, kept)| kept.exit.is_none()).map(|(attempt, _)| *attempt);
        kept.chain(self.orphans.iter().copied())
    }
}

impl Kept {
    /// The output that was released: what is left follows frame by frame. All of it is stdout.
    pub fn released(&self) -> Totals {
        let first = self.frames.first().map(|frame| (frame.number - 1, frame.offset));
        first.map_or(self.totals, |(frames, stdout)| Totals { frames, stdout, stderr: 0 })
    }
}

impl World {
    /// A command to a worker's keeper. One that stands still hears it when it goes on.
    pub(crate) fn command(&mut self, worker: usize, command: Command) {
        let keeper = &self.workers[worker].keeper;
        if keeper.frozen > self.now {
            let (number, when) = (keeper.number, keeper.frozen);
            return self.at(when, Happening::ToKeeper { worker, keeper: number, command });
        }
        match command {
            Command::Start(start) => self.start_process(worker, &start),
            Command::Kill(attempt) => self.kill_process(worker, attempt),
            Command::Release(attempt, frame) => {
                if let Some(kept) = self.workers[worker].keeper.kept.get_mut(&attempt) {
                    kept.frames.retain(|f| f.number > frame);
                }
            }
            Command::Drop(attempt) => {
                let kept = self.workers[worker].keeper.kept.remove(&attempt);
                assert!(kept.is_none_or(|k| k.exit.is_some()), "{attempt:?} is dropped while it runs");
            }
        }
    }

    /// A command that waited for a keeper that stood still.
    pub(crate) fn command_late(&mut self, worker: usize, keeper: u64, command: Command) {
        if self.workers[worker].keeper.number == keeper {
            return self.command(worker, command);
        }
        // That keeper died: its worker says so of what it was to start.
        if let Command::Start(start) = command {
            self.inform(worker, Input::KeeperLost { attempt: start.attempt });
        }
    }

    fn kill_process(&mut self, worker: usize, attempt: AttemptId) {
        self.check_kill(attempt);
        let now = self.now;
        let me = &mut self.workers[worker];
        let number = me.keeper.number;
        let clock = me.clock;
        let Some(kept) = me.keeper.kept.get_mut(&attempt).filter(|k| k.exit.is_none() && !k.killed) else { return };
        kept.killed = true;
        let stubborn = kept.stubborn;
        let delay = if stubborn { clock.really(GRACE) } else { self.rng.ms(1, 300) };
        if stubborn {
            self.sometimes(Rare::Stubborn);
        }
        self.at(now + delay, Happening::Exit { worker, keeper: number, attempt, why: Why::Killed });
    }

    fn start_process(&mut self, worker: usize, start: &Start) {
        let attempt = start.attempt;
        self.check_start(worker, start);
        self.report.attempts += 1;
        let mut frames = self.draw_frames(attempt);
        let command = match &start.spec.run {
            Run::Shell(shell) => shell.command.as_str(),
            Run::Docker(_) | Run::Handler(_) => "",
        };
        let (endless, stubborn) = (command == "endless", command == "stubborn");
        let runs = if endless {
            Duration::MAX
        } else if self.rng.percent(50) {
            self.rng.ms(0, 15)
        } else {
            self.rng.ms(1, 30_000)
        };
        let clock = self.workers[worker].clock;
        let limit = start.spec.timeout.map_or(Duration::MAX, |limit| clock.really(limit));
        let (runs, why) = if limit <= runs { (limit, Why::Timeout) } else { (runs, Why::Itself) };
        let later = frames.split_off(frames.len() / 2);
        let mut totals = Totals::default();
        frames.iter().for_each(|f| totals.add(f));
        let me = &mut self.workers[worker];
        let number = me.keeper.number;
        let kept = Kept { frames: frames.clone(), totals, exit: None, later, killed: false, stubborn };
        me.keeper.kept.insert(attempt, kept);
        let running = me.keeper.running().count();
        assert!(running <= me.slots as usize, "{running} attempts run on {} slots", me.slots);
        self.say(worker, Input::Started { attempt });
        for frame in frames {
            self.say(worker, Input::Frame(frame));
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
            data: vec![0; usize::try_from(bytes).unwrap_or(0)].into(),
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
        let (exit, more) = match why {
            Why::Itself => (Exit::Code(i32::from(failed)), std::mem::take(&mut kept.later)),
            Why::Timeout => (Exit::TimedOut(Duration::from_secs(20)), Vec::new()),
            Why::Killed => (Exit::Killed, Vec::new()),
        };
        more.iter().for_each(|frame| kept.totals.add(frame));
        kept.frames.extend(more.iter().cloned());
        kept.exit = Some(exit.clone());
        let totals = kept.totals;
        self.checks.exited(attempt, &exit, totals);
        for frame in more {
            self.say(worker, Input::Frame(frame));
        }
        self.say(worker, exited(attempt, &exit, totals));
    }

    /// The keeper tells the worker's process, if there is one.
    fn say(&mut self, worker: usize, input: Input) {
        let Some(process) = &self.workers[worker].process else { return };
        if process.frozen > self.now {
            let (number, when) = (process.number, process.frozen);
            return self.at(when, Happening::FromKeeper { worker, process: number, input: Box::new(input) });
        }
        let now = self.time_at(worker);
        if let Some(process) = &mut self.workers[worker].process {
            process.session.handle(now, input);
        }
        self.after(Duration::ZERO, Happening::Flush { worker });
    }

    /// What was said while the worker's process stood still.
    pub(crate) fn said_late(&mut self, worker: usize, process: u64, input: Input) {
        if self.workers[worker].process.as_ref().is_some_and(|p| p.number == process) {
            self.inform(worker, input);
        }
    }

    /// The keeper dies. What had ended is in its spool, unless that is torn; what runs is left to itself, until the worker
    /// has swept it, and says that it is lost.
    pub(crate) fn crash_keeper(&mut self, worker: usize, dice: &mut Rng) {
        let now = self.now;
        let keeper = &mut self.workers[worker].keeper;
        keeper.number += 1;
        keeper.frozen = now;
        let mut lost = Vec::new();
        let mut torn = false;
        for (attempt, kept) in std::mem::take(&mut keeper.kept) {
            if kept.exit.is_none() {
                keeper.orphans.insert(attempt);
                lost.push(attempt);
            } else if dice.percent(50) {
                keeper.kept.insert(attempt, kept);
            } else {
                torn = true;
                lost.push(attempt);
            }
        }
        if !lost.is_empty() {
            self.sometimes(Rare::KeeperLost);
        }
        if torn {
            self.sometimes(Rare::SpoolTorn);
        }
        let delay = dice.ms(1, 1_000);
        self.after(delay, Happening::Sweep { worker, lost });
    }

    /// The worker ends what its dead keeper left, and says so. Without a process it does so when it starts.
    pub(crate) fn sweep(&mut self, worker: usize, lost: Vec<AttemptId>) {
        if self.workers[worker].process.is_none() {
            return;
        }
        for attempt in lost {
            self.workers[worker].keeper.orphans.remove(&attempt);
            self.inform(worker, Input::KeeperLost { attempt });
        }
    }
}

pub(crate) fn exited(attempt: AttemptId, exit: &Exit, totals: Totals) -> Input {
    Input::Exited { attempt, exit: exit.clone(), totals, result: Vec::new(), run_us: 1_000, tree_gone: true }
}
