//! What is said about attempts: numbered in each session, kept until it is acknowledged, said again in the next one.

use crate::{Effect, ToScheduler, attempt::Phase, session::Link};
use domain::{AttemptId, Exit, Frame, Monotonic, Offer, Progress, Report, ReportKind, Tail, Totals};
use std::{collections::VecDeque, time::Duration};

/// Bytes of one message with reports: well under [`domain::limits::MESSAGE_BYTES`], results being up to 1 MiB each.
const MESSAGE: usize = 4 * 1024 * 1024;
/// Reports of one message: a part of a commit's worth, so that a worker, a scheduler and its store have each something to do
/// at the same time.
const REPORTS: usize = 512;

/// Where tasks run for a few milliseconds, reports wait so long for those that follow: starts alone, of which most have ended by
/// then, and all while there is [`PLENTY`]. One message and one commit tell them together.
const WAIT: Duration = Duration::from_millis(5);
/// The more there is to run, the longer they may: half as long as it lasts, and this at most.
const LONG_WAIT: Duration = Duration::from_millis(20);
/// With so many unsaid none waits: they are a message's worth.
const ENOUGH: usize = 64;
/// Runs that wait here for so long are not held up by reports that wait, and whoever waits for one of them waits in a line.
const PLENTY: Duration = Duration::from_millis(10);

/// Reports that aren't acknowledged. Bounded by what is held: at most a start, a progress and an end of each attempt.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    /// Said in this session, by number.
    said: VecDeque<Report>,
    /// Not yet said in this session.
    unsaid: VecDeque<(AttemptId, ReportKind)>,
    /// Something else than starts is unsaid.
    more_than_starts: bool,
    /// Since when what is unsaid waits.
    since: Option<Monotonic>,
    /// The last number given in this session.
    last: u64,
}

impl Reports {
    /// The session is over: all will be said again, in the old order.
    pub fn rewind(&mut self) {
        let said = std::mem::take(&mut self.said);
        for report in said.into_iter().rev() {
            self.unsaid.push_front((report.attempt, report.kind));
        }
        // What was said before has waited already.
        self.more_than_starts = true;
        self.since = None;
        self.last = 0;
    }

    fn push(&mut self, attempt: AttemptId, kind: ReportKind) {
        self.more_than_starts |= !matches!(kind, ReportKind::Started);
        self.unsaid.push_back((attempt, kind));
    }

    /// Whether what is unsaid goes on waiting, for so long in all, having begun now at the latest.
    fn wait(&mut self, now: Monotonic, patience: Duration) -> bool {
        (1..ENOUGH).contains(&self.unsaid.len()) && now < *self.since.get_or_insert(now) + patience
    }

    /// All is said from here on.
    fn hurry(&mut self) {
        (self.more_than_starts, self.since) = (false, None);
    }

    /// The next message's reports; empty if nothing is unsaid.
    fn next(&mut self) -> Vec<Report> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < REPORTS && bytes < MESSAGE {
            let Some((attempt, kind)) = self.unsaid.pop_front() else { break };
            bytes += size(&kind);
            self.last += 1;
            let report = Report { number: self.last, attempt, kind };
            self.said.push_back(report.clone());
            batch.push(report);
        }
        batch
    }
}

/// About how many bytes a report takes beyond its fixed part.
fn size(kind: &ReportKind) -> usize {
    match kind {
        ReportKind::Exited { tail, result, .. } => {
            result.len() + tail.0.iter().map(|f: &Frame| f.data.len() + 64).sum::<usize>()
        }
        ReportKind::Refused(reason) => reason.len(),
        ReportKind::Started | ReportKind::Progressed(_) | ReportKind::Recalled | ReportKind::Lost => 0,
    }
}

impl crate::Session {
    /// The attempt runs. An adopting process may be told twice.
    pub(crate) fn started(&mut self, attempt: AttemptId) {
        let Some(held) = self.held.get_mut(&attempt).filter(|h| matches!(h.phase, Phase::Running)) else { return };
        if !std::mem::replace(&mut held.started_said, true) {
            self.reports.push(attempt, ReportKind::Started);
        }
    }

    /// When reports that wait have to be said; `None`: none does.
    pub(crate) fn reports_due(&self) -> Option<Monotonic> {
        self.reports.since.map(|since| since + self.patience())
    }

    /// Whether what is unsaid may wait for more.
    fn reports_may_wait(&self, offer: Option<&Offer>) -> bool {
        let starts_alone = !self.reports.more_than_starts && offer.is_none();
        self.pace.is_short() && (starts_alone || self.plenty().is_some())
    }

    /// How long what is unsaid may wait, if it may.
    fn patience(&self) -> Duration {
        self.plenty().map_or(WAIT, |lasts| (lasts / 2).clamp(WAIT, LONG_WAIT))
    }

    /// How long what waits here to be run lasts, if that is long enough for reports to wait.
    fn plenty(&self) -> Option<Duration> {
        let lasts = self.pace.lasts(self.slots, self.queue.len());
        (!self.leaving && !self.closed_to_new && lasts >= PLENTY).then_some(lasts)
    }

    /// The attempt says how far it is.
    pub(crate) fn progressed(&mut self, now: Monotonic, attempt: AttemptId, progress: Progress) {
        let Some(held) = self.held.get_mut(&attempt).filter(|h| matches!(h.phase, Phase::Running)) else { return };
        held.progress.put(progress);
        if let Some(next) = held.progress.next(now) {
            self.reports.push(attempt, ReportKind::Progressed(next));
        }
    }

    /// Says the progress that has waited long enough.
    pub(crate) fn late_progress(&mut self, now: Monotonic) {
        for (attempt, held) in &mut self.held {
            if let Some(next) = held.progress.next(now) {
                self.reports.push(*attempt, ReportKind::Progressed(next));
            }
        }
    }

    /// The attempt ended by itself or by a kill.
    pub(crate) fn exited(&mut self, attempt: AttemptId, end: End) {
        let Some(held) = self.held.get_mut(&attempt).filter(|h| matches!(h.phase, Phase::Running)) else { return };
        if let Some(last) = held.progress.last() {
            self.reports.push(attempt, ReportKind::Progressed(last));
        }
        held.totals = end.totals;
        let tail = held.spool.take_tail();
        if !matches!(end.exit, Exit::NotStarted(_) | Exit::Killed) {
            self.pace.ran(Duration::from_micros(end.run_us).max(Duration::from_micros(1)));
        }
        let End { exit, totals, result, run_us, tree_gone } = end;
        self.end(attempt, ReportKind::Exited { exit, totals, tail, result, run_us, tree_gone });
    }

    /// Makes the attempt's last report. Frees its slot if it had one.
    pub(crate) fn end(&mut self, attempt: AttemptId, last: ReportKind) {
        let held = self.held.entry(attempt).or_insert_with(|| crate::attempt::Held::new(Phase::Ended));
        match std::mem::replace(&mut held.phase, Phase::Ended) {
            Phase::Running => self.running -= 1,
            Phase::Queued(_) => self.queue.retain(|(_, a)| *a != attempt),
            Phase::Ended => {}
        }
        self.unacknowledged_ends += 1;
        self.reports.push(attempt, last);
    }

    /// Reports up to this number are durable.
    pub(crate) fn forget(&mut self, now: Monotonic, number: u64) {
        while self.reports.said.front().is_some_and(|r| r.number <= number) {
            let Some(Report { number: _, attempt, kind }) = self.reports.said.pop_front() else { break };
            let Some(held) = self.held.get_mut(&attempt) else { continue };
            match kind {
                ReportKind::Started => held.started_stored = true,
                ReportKind::Progressed(_) => {
                    held.progress.acknowledged();
                    if let Some(next) = held.progress.next(now) {
                        self.reports.push(attempt, ReportKind::Progressed(next));
                    }
                }
                ReportKind::Exited { .. } | ReportKind::Refused(_) | ReportKind::Recalled | ReportKind::Lost => {
                    held.started_stored = true;
                    held.end_stored = true;
                    self.unacknowledged_ends -= 1;
                    self.drop_if_over(attempt);
                }
            }
        }
    }

    /// Lets go of an attempt whose end and output are stored.
    pub(crate) fn drop_if_over(&mut self, attempt: AttemptId) {
        if self.held.get(&attempt).is_some_and(|h| h.end_stored && h.spool.is_empty()) {
            self.let_go(attempt);
        }
    }

    /// Lets go of an attempt.
    pub(crate) fn let_go(&mut self, attempt: AttemptId) {
        let Some(held) = self.held.remove(&attempt) else { return };
        self.gone.remember(attempt);
        if held.executed {
            self.effects.push(Effect::Drop(attempt));
        }
    }

    /// Makes messages of what is unsaid, and of the offer if it changed; and says "I am here" when it is time.
    pub(crate) fn send_reports(&mut self, now: Monotonic) {
        let Link::Open(open) = &self.link else { return };
        let mut offer = self.next_offer().filter(|o| *o != open.offer);
        let patience = self.patience();
        if self.reports_may_wait(offer.as_ref()) && self.reports.wait(now, patience) {
            return;
        }
        self.reports.hurry();
        let Link::Open(open) = &mut self.link else { return };
        if let Some(offer) = offer {
            open.offer = offer;
        }
        let due = now.since(open.spoke) >= crate::HEARTBEAT;
        loop {
            let reports = self.reports.next();
            let empty = reports.is_empty() && offer.is_none();
            if empty && !(due && now != open.spoke) {
                return;
            }
            open.spoke = now;
            self.effects.push(Effect::Send(ToScheduler::Update { reports, offer: offer.take() }));
        }
    }
}

/// How an attempt ended; see [`crate::Input::Exited`].
pub(crate) struct End {
    pub exit: Exit,
    pub totals: Totals,
    pub result: Vec<u8>,
    pub run_us: u64,
    pub tree_gone: bool,
}

/// The end of an attempt that never ran, by a kill order.
pub(crate) fn killed_unstarted() -> ReportKind {
    ReportKind::Exited {
        exit: Exit::Killed,
        totals: Totals::default(),
        tail: Tail::default(),
        result: Vec::new(),
        run_us: 0,
        tree_gone: true,
    }
}
