//! The session itself: its state, its inputs, its effects.

use crate::{
    Effect, Input, Known, SessionConfig, ToScheduler,
    attempt::{Gone, Held, Phase},
    frames::Output,
    pace::Pace,
    reports::{End, Reports},
};
use domain::{AttemptId, HeldAttempt, HeldPhase, Hello, Monotonic, Offer, ReportKind};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// How often a worker says that it is there (PROTOCOL P1).
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// After so long without a message the contact is lost.
pub const SILENCE: Duration = Duration::from_secs(15);
/// Ends that aren't acknowledged, at most, before nothing new is offered: bounds what is held for a scheduler that
/// commits slowly.
pub(crate) const ENDS_MAX: u64 = 8_192;

/// The worker's side of the session with its scheduler. See the crate's documentation.
#[derive(Debug)]
pub struct Session {
    hello: Hello,
    pub(crate) slots: u32,
    pub(crate) prefetch_max: u32,
    pub(crate) known: Known,
    pub(crate) link: Link,
    pub(crate) output: Output,
    pub(crate) held: BTreeMap<AttemptId, Held>,
    pub(crate) gone: Gone,
    /// Those in phase `Queued` with their priorities, highest first, then oldest first.
    pub(crate) queue: VecDeque<(i32, AttemptId)>,
    /// How many are in phase `Running`.
    pub(crate) running: u32,
    borrowed: u32,
    pub(crate) unacknowledged_ends: u64,
    pub(crate) reports: Reports,
    pub(crate) pace: Pace,
    /// The scheduler asked for a drain.
    pub(crate) closed_to_new: bool,
    /// This process is about to leave.
    pub(crate) leaving: bool,
    pub(crate) effects: Vec<Effect>,
    /// Among the effects is one to remember something.
    pub(crate) remembering: bool,
}

/// Where the session's stream stands.
#[derive(Debug)]
pub(crate) enum Link {
    /// There is none, or it is being closed.
    Away,
    /// Hello is sent.
    Greeted { heard: Monotonic },
    /// Welcomed.
    Open(Open),
}

/// A session under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub session: u64,
    /// The number that the next order must have.
    pub next_order: u64,
    /// Starts received.
    pub received: u64,
    /// What was granted last.
    pub offer: Offer,
    /// Killed in the message that welcomed us: they were given up or cancelled while there was no contact, and nothing
    /// is taken before they have ended (GUARANTEES G8).
    pub overdue: BTreeSet<AttemptId>,
    pub spoke: Monotonic,
    pub heard: Monotonic,
}

impl Session {
    /// A worker that holds nothing and has no contact.
    pub fn new(config: SessionConfig) -> Self {
        let SessionConfig { hello, prefetch_max, known } = config;
        Self {
            slots: hello.slots,
            hello,
            prefetch_max,
            known,
            link: Link::Away,
            output: Output::default(),
            held: BTreeMap::new(),
            gone: Gone::default(),
            queue: VecDeque::new(),
            running: 0,
            borrowed: 0,
            unacknowledged_ends: 0,
            reports: Reports::default(),
            pace: Pace::default(),
            closed_to_new: false,
            leaving: false,
            effects: Vec::new(),
            remembering: false,
        }
    }

    /// Takes in one input. What it causes comes out of the next [`Session::drain`].
    pub fn handle(&mut self, now: Monotonic, input: Input) {
        match input {
            Input::Connected => self.connected(now),
            Input::Disconnected => self.away(),
            Input::OutputConnected => self.output_connected(now, true),
            Input::OutputDisconnected => self.output_connected(now, false),
            Input::Orders(batch) => self.orders(now, batch),
            Input::FramesAcked { attempt, number } => self.frames_acked(attempt, number),
            Input::Kept(kept) => kept.into_iter().for_each(|k| self.adopt(k)),
            Input::Started { attempt } => self.started(attempt),
            Input::Progressed { attempt, progress } => self.progressed(now, attempt, progress),
            Input::Frame(frame) => self.frame(now, frame),
            Input::Exited { attempt, exit, totals, result, run_us, tree_gone } => {
                self.exited(attempt, End { exit, totals, result, run_us, tree_gone });
            }
            Input::Refused { attempt, reason } => self.fail(attempt, ReportKind::Refused(reason)),
            Input::KeeperLost { attempt } => self.fail(attempt, ReportKind::Lost),
            Input::Borrowed(slots) => self.borrowed = slots,
            Input::Docker(there) => self.docker(there),
            Input::Drain => self.leave(),
            Input::Interrupt => self.interrupt(),
            Input::Tick => self.tick(now),
        }
    }

    /// What is to be done, in order; empty if nothing is.
    pub fn drain(&mut self, now: Monotonic) -> Vec<Effect> {
        // That is done before the starts that follow it.
        self.remembering = false;
        while let Some(start) = self.next_start() {
            self.effects.push(Effect::Start(start));
        }
        self.say(now)
    }

    /// As [`Self::drain`], but for what may start: for whoever has more starts to make and shouldn't keep what has ended to
    /// himself until they are all made.
    pub fn say(&mut self, now: Monotonic) -> Vec<Effect> {
        self.remembering = false;
        self.send_reports(now);
        self.send_frames(now);
        std::mem::take(&mut self.effects)
    }

    /// When a tick is due for the sake of output or reports that wait; `None`: any time.
    pub fn next_tick(&self) -> Option<Monotonic> {
        self.frames_due().into_iter().chain(self.reports_due()).min()
    }

    /// Whether the scheduler has welcomed this worker and the contact lasts.
    pub fn is_open(&self) -> bool {
        matches!(self.link, Link::Open(_))
    }

    /// The session's number at the scheduler, for logs.
    pub fn number(&self) -> Option<u64> {
        match &self.link {
            Link::Open(open) => Some(open.session),
            Link::Away | Link::Greeted { .. } => None,
        }
    }

    /// Attempts that run.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Slots that nobody uses.
    pub fn free_slots(&self) -> u32 {
        self.slots.saturating_sub(self.running.saturating_add(self.borrowed))
    }

    /// What this worker holds, in any phase.
    pub fn held(&self) -> impl Iterator<Item = HeldAttempt> + '_ {
        self.held.iter().map(|(attempt, held)| held.listed(*attempt))
    }

    fn connected(&mut self, now: Monotonic) {
        self.away();
        self.link = Link::Greeted { heard: now };
        let held = self.held().collect();
        let since = u64::try_from(now.0.as_nanos()).unwrap_or(u64::MAX);
        let opened = self.hello.opened.saturating_add(since);
        let hello = Hello { held, opened, highest_epoch: self.known.epoch, ..self.hello.clone() };
        self.effects.push(Effect::Send(ToScheduler::Hello(hello)));
    }

    /// What this worker offers is said in its hello: a new one needs a new session.
    fn docker(&mut self, there: bool) {
        if std::mem::replace(&mut self.hello.docker, there) != there && !matches!(self.link, Link::Away) {
            self.disconnect("what this worker offers has changed".into());
        }
    }

    fn away(&mut self) {
        self.link = Link::Away;
        self.closed_to_new = false;
        self.reports.rewind();
    }

    /// Gives this stream up.
    pub(crate) fn disconnect(&mut self, reason: String) {
        self.away();
        self.effects.push(Effect::Disconnect(reason));
    }

    fn tick(&mut self, now: Monotonic) {
        self.late_progress(now);
        let heard = match &self.link {
            Link::Away => return,
            Link::Greeted { heard } => *heard,
            Link::Open(open) => open.heard,
        };
        if now.since(heard) >= SILENCE {
            self.disconnect(format!("nothing was heard for {} s", SILENCE.as_secs()));
        }
    }

    /// The keeper holds this from an earlier process. Whether its start was acknowledged is not known: say it again.
    fn adopt(&mut self, kept: HeldAttempt) {
        let HeldAttempt { attempt, phase, totals } = kept;
        if self.held.contains_key(&attempt) {
            return;
        }
        let mut held = Held::new(Phase::Running);
        held.executed = true;
        held.totals = totals;
        self.held.insert(attempt, held);
        self.running += 1;
        match phase {
            HeldPhase::Prefetched => {}
            HeldPhase::Running | HeldPhase::Exited => self.started(attempt),
        }
    }

    /// An attempt that runs ends without an exit.
    fn fail(&mut self, attempt: AttemptId, kind: ReportKind) {
        if self.held.get(&attempt).is_some_and(|h| matches!(h.phase, Phase::Running)) {
            self.end(attempt, kind);
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        for (_, attempt) in std::mem::take(&mut self.queue) {
            self.end(attempt, ReportKind::Recalled);
        }
    }

    fn interrupt(&mut self) {
        self.leave();
        let running = self.held.iter().filter(|(_, h)| matches!(h.phase, Phase::Running));
        self.effects.extend(running.map(|(attempt, _)| Effect::Kill(*attempt)));
    }
}
