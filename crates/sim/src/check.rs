//! What must hold, whatever happens: looked at while it happens.

use crate::{rare::Rare, scheduler::LOST_AFTER, world::World};
use domain::{
    AttemptId, Ending, Event, EventKind, Exit, Final, FrameNo, Monotonic, OnLost, Start, State, StateWord, Task,
    TaskId, Totals, WorkerId,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::Store as _;

/// After so long in contact no process of a task that is over is left: 5 s of grace, a slow network, a commit (G8).
const GONE_AFTER: Duration = Duration::from_secs(20);
/// How far the clocks of two reigns may be apart, unless they are skewed: each is up to 6 % fast or slow.
const CLOCKS_APART_MS: i64 = 20_000;

/// What was seen.
#[derive(Default)]
pub(crate) struct Checks {
    started: BTreeSet<AttemptId>,
    pub exits: BTreeMap<AttemptId, (Exit, Totals)>,
    /// Tasks that ended because nobody had started them in time, with the number of attempts that were given up.
    unstarted: BTreeMap<TaskId, u32>,
    pub ends: BTreeMap<TaskId, StateWord>,
    last_event: BTreeMap<(u64, TaskId), u64>,
    pub lines: crate::lines::Lines,
    /// Commits that succeeded.
    pub commits: u64,
    /// Workers that somebody declared gone.
    pub forgotten: BTreeSet<WorkerId>,
    /// Planted: frames that were acknowledged and aren't there.
    pub dropped: BTreeSet<(AttemptId, FrameNo)>,
}

impl Checks {
    pub fn exited(&mut self, attempt: AttemptId, exit: &Exit, totals: Totals) {
        self.exits.insert(attempt, (exit.clone(), totals));
    }

    /// A row of the store: its end is the one that was published, its attempts count up from 1.
    pub fn row(&self, task: &Task) {
        for (attempt, want) in task.attempts().zip(1..) {
            assert_eq!(attempt.no.0, want, "{}: numbers of attempts", task.id);
        }
        if let Some(end) = self.ends.get(&task.id) {
            assert_eq!(*end, task.state.word(), "{}: an end changes", task.id);
        }
    }
}

impl World {
    /// G4: a given attempt is started at most once, anywhere; and of a task that waits for its worker no two attempts run
    /// at the same time, unless somebody said that the worker is gone.
    pub(crate) fn check_start(&mut self, worker: usize, start: &Start) {
        let attempt = start.attempt;
        assert!(self.checks.started.insert(attempt), "{attempt:?} is started twice");
        // What was given up before may still be on its way.
        let given_up = self.checks.unstarted.get(&attempt.task);
        assert!(given_up.is_none_or(|no| attempt.no.0 <= *no), "{attempt:?} is started, and its task's time was over");
        if !self.client.waiting.contains(&attempt.task.whole()) {
            return;
        }
        let forgotten = |worker: &crate::worker::Worker| self.checks.forgotten.contains(&worker.id());
        for other in &self.workers {
            let forgotten = forgotten(other) || forgotten(&self.workers[worker]);
            let runs = other.keeper.running().find(|a| a.task == attempt.task);
            assert!(forgotten || runs.is_none(), "{attempt:?} starts on w{worker} while {runs:?} runs");
        }
    }

    /// G5: nobody kills an attempt that is under way, but after a cancel.
    pub(crate) fn check_kill(&self, attempt: AttemptId) {
        let Ok(Some(task)) = self.disk.store.reader().task(attempt.task) else { return };
        let live = task.live_id() == Some(attempt) && !matches!(task.state, State::Cancelling(_));
        assert!(!live, "{attempt:?} is under way, and killed");
    }

    /// G3: one end, which never changes. Events are published in order, each once.
    pub(crate) fn check_published(&mut self, reign: u64, event: &Event, task: &Task) {
        let last = self.checks.last_event.entry((reign, event.task)).or_default();
        assert!(event.stamp.event > *last, "event {} of {} after {last}", event.stamp.event, event.task);
        *last = event.stamp.event;
        match &event.kind {
            EventKind::Finished(end, _) => {
                let word = State::Final(end.clone()).word();
                assert!(self.checks.ends.insert(event.task, word).is_none(), "{} ends twice", event.task);
                self.check_finished(end, task);
            }
            EventKind::Dispatched(_) if self.house.reigns(reign, self.disk.epoch) => {
                let cancelled = self.client.cancelled.contains_key(&event.task);
                assert!(!cancelled, "{} was cancelled, and is given to a worker", event.task);
                self.check_patience(event, task);
            }
            EventKind::Accepted | EventKind::Begun | EventKind::Dispatched(_) | EventKind::Started(_) => {}
            EventKind::Progressed(_) | EventKind::CancelRequested | EventKind::AttemptEnded(..) => {}
        }
    }

    fn check_finished(&mut self, end: &Final, task: &Task) {
        if task.array.is_some() {
            return;
        }
        let lost = |a: &domain::Attempt| matches!(a.ended, Some((_, Ending::Lost)));
        if task.spec.on_lost == OnLost::Fail {
            let lost = task.ended.iter().filter(|a| lost(a)).count();
            let failed = matches!(end, Final::Failed(_) | Final::Cancelled { .. });
            assert!(lost == 0 || (lost == 1 && failed), "{} went on after a loss", task.id);
            if lost == 1 && matches!(end, Final::Failed(_)) {
                self.sometimes(Rare::FailedAtLoss);
            }
        }
        match end {
            Final::Completed => self.check_completed(task),
            Final::Failed(why) if why.contains("too often") => self.sometimes(Rare::LostTooOften),
            Final::Cancelled { unconfirmed: Some(_) } => self.sometimes(Rare::Unconfirmed),
            Final::Cancelled { unconfirmed: None } => {
                let last = task.latest().map(|a| AttemptId { task: task.id, no: a.no });
                if last.and_then(|a| self.checks.exits.get(&a)).is_some_and(|(exit, _)| exit.success()) {
                    self.sometimes(Rare::ExitTooLate);
                }
            }
            Final::TimedOut(why) if why.starts_with("not started") => self.check_unstarted(why, task),
            Final::Failed(_) | Final::TimedOut(_) => {}
        }
    }

    /// Who ends so was to be started within that time, and wasn't, as far as anybody knows.
    fn check_unstarted(&mut self, why: &str, task: &Task) {
        let within = self.client.patient.get(&task.id);
        let said = within.map(|within| format!("not started within {}s", within.as_secs()));
        assert_eq!(said.as_deref(), Some(why), "{}: its patience", task.id);
        assert!(task.attempts().all(|a| a.started.is_none()), "{} was started, and ends as if not", task.id);
        self.checks.unstarted.insert(task.id, task.latest().map_or(0, |a| a.no.0));
        self.sometimes(Rare::NotStarted);
    }

    /// Nothing is given to a worker for its first start when the time for that is over.
    fn check_patience(&self, event: &Event, task: &Task) {
        let Some(within) = self.client.patient.get(&task.id) else { return };
        if self.mix.skewed_clocks || task.attempts().any(|a| a.started.is_some()) {
            return;
        }
        let since = task.spec.run_at.map_or(task.accepted.at, |at| at.max(task.accepted.at));
        let waited = event.stamp.at.0 - since.0;
        let most = i64::try_from(within.as_millis()).unwrap_or(i64::MAX) + CLOCKS_APART_MS;
        assert!(waited <= most, "{} waited {waited} ms for its first start, which is over {most}", task.id);
    }

    /// G7 and the point of it all: completed means that the process really exited 0 and its output is whole.
    pub(crate) fn check_completed(&self, task: &Task) {
        let id = task.id;
        let Some(last) = task.latest() else { panic!("{id} completed without an attempt") };
        let attempt = AttemptId { task: id, no: last.no };
        let Some((exit, totals)) = self.checks.exits.get(&attempt) else { panic!("{id} completed, but never exited") };
        assert!(exit.success(), "{id} completed, but exited with {exit:?}");
        let tails = self.disk.store.reader().tails(id).unwrap_or_default();
        let mut frames = self.house.output.get(&attempt).cloned().unwrap_or_default();
        frames.extend(tails.iter().filter(|(_, f)| f.attempt == attempt).map(|(_, f)| f.number));
        frames.retain(|number| !self.checks.dropped.contains(&(attempt, *number)));
        assert_eq!(frames.into_iter().collect::<Vec<_>>(), (1..=totals.frames).collect::<Vec<_>>(), "{id}: output");
        assert_eq!(last.totals, *totals, "{id}: totals");
    }

    /// G8: what is over has no process on a worker that has been in contact for a while.
    pub(crate) fn check_processes(&mut self, worker: usize) {
        let contact = self.is_in_contact(worker);
        let now = self.now;
        let me = &mut self.workers[worker];
        me.contact = contact.then(|| me.contact.unwrap_or(now));
        let Some(since) = me.contact else { return };
        if now.since(since) < GONE_AFTER {
            return;
        }
        let reader = self.disk.store.reader();
        for attempt in self.workers[worker].keeper.running() {
            let cancelled = self.client.cancelled.get(&attempt.task);
            let cancelled = cancelled.or_else(|| self.client.cancelled.get(&attempt.task.whole()));
            let long = cancelled.is_some_and(|c| now.since(c.at) > GONE_AFTER);
            let ended = cancelled.is_some_and(|c| c.ended.contains(&attempt.task));
            assert!(!long || ended, "{attempt:?} was cancelled and runs on");
            // What it knows of must be what the store knows of.
            let live = reader.task(attempt.task).ok().flatten().is_some_and(|task| task.live_id() == Some(attempt));
            assert!(live, "{attempt:?} is over and runs on");
        }
        // The next look is a while away: it costs something.
        self.workers[worker].contact = Some(Monotonic(since.0 + Duration::from_secs(5)));
    }

    /// Whether nothing stands between a worker and the scheduler that reigns.
    fn is_in_contact(&self, worker: usize) -> bool {
        let me = &self.workers[worker];
        let Some(process) = me.process.as_ref().filter(|p| p.session.is_open()) else { return false };
        let Some(connection) = process.connection.and_then(|c| self.net.open.get(&c)) else { return false };
        let reigns = self.house.reigns(connection.scheduler, self.disk.epoch) && self.house.processes.len() == 1;
        let frozen = |until: Monotonic| until > self.now;
        let scheduler = self.house.processes.get(&connection.scheduler).is_none_or(|p| frozen(p.frozen));
        let still = scheduler || frozen(process.frozen) || frozen(me.keeper.frozen);
        connection.is_whole() && reigns && !still
    }

    /// A worker says hello: what it holds may have been waited for.
    pub(crate) fn check_return(&mut self, worker: usize, hello: &domain::Hello) {
        let away = self.now.since(self.workers[worker].heard);
        let reader = self.disk.store.reader();
        for held in &hello.held {
            let task = reader.task(held.attempt.task).ok().flatten();
            let Some(task) = task.filter(|task| task.live_id() == Some(held.attempt)) else { continue };
            // Clocks differ by a few percent.
            if away < LOST_AFTER / 2 {
                self.sometimes(Rare::ReturnedInTime);
            } else if away > LOST_AFTER * 5 / 4 && task.spec.on_lost == OnLost::Wait {
                self.sometimes(Rare::WaitedFor);
            }
        }
    }
}
