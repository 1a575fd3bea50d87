//! Retention: tasks that ended long ago are deleted in the background, in steps so small that nobody waits for one.
//!
//! A walk begins with the oldest task and ends where nothing is old enough; then it rests. While there are commits, each takes
//! a step along, which costs no sync of its own; steps by themselves are for a writer that has nothing else to do. This is
//! the pacing alone: the loop hands the steps to the writer, and must not hand over one while another is under way.
//!
//! Nothing is deleted while the store is being checked: until that is over the log only grows, and whatever is written then
//! costs every commit that comes after.

use crate::check::Over;
use domain::UnixMillis;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Expired, Expiry};
use tokio::sync::Notify;

/// How long a step within a commit may take: whoever waits for the commit waits for it as well.
const ALONG: Duration = Duration::from_micros(200);
/// After such a step so long passes until the next: few large steps touch fewer pages than many small ones, and most commits
/// take none along.
const APART: Duration = Duration::from_millis(4);
/// So much has to be written between two such steps: about three tasks go for each that comes. Of single submits, one in
/// forty takes a step along then, and not one in five.
const WRITES: usize = 64;
/// Where less is written, a step waits so long for the commit that takes it along: old tasks go all the same.
const PATIENCE: Duration = Duration::from_millis(25);
/// How long a step by itself may take before its sync: a submit that comes meanwhile waits for both.
const ALONE: Duration = Duration::from_micros(500);
/// Rows that a step looks at, at most: most of them may have to stay.
const ROWS: usize = 4_096;
/// A writer without a commit for so long has nothing else to do.
const QUIET: Duration = Duration::from_millis(20);
/// The longest and the shortest rest between two walks; in between, a tenth of what is kept.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_millis(100));
/// The first walk of a reign waits so long at most: those who waited for the scheduler come first.
const FIRST: Duration = Duration::from_secs(10);
/// Between two looks whether the store has been checked.
const LOOK: Duration = Duration::from_secs(1);
/// After a step that failed.
const TROUBLE: Duration = Duration::from_secs(60);

/// The pace of deletion. It outlives reigns; a walk doesn't.
pub(crate) struct Retention {
    /// `None`: all is kept for ever.
    keep: Option<Duration>,
    /// Where the next step begins; 0: with the oldest task.
    after: i64,
    /// Deleted in this walk.
    deleted: u64,
    /// When the next step is due; `None`: never, or one is under way.
    due: Option<Instant>,
    /// When the last commit was handed over.
    commit: Option<Instant>,
    /// What commits have written since one of them took a step along.
    written: usize,
    /// Told after a walk that deleted something.
    swept: Arc<Notify>,
    /// Whether the store has been checked.
    check: Over,
}

impl Retention {
    /// Keeps tasks so long; zero: for ever. `check` is that of the store at its start.
    pub fn new(keep: Duration, swept: Arc<Notify>, check: Over) -> Self {
        let keep = (!keep.is_zero()).then_some(keep);
        Self { keep, after: 0, deleted: 0, due: None, commit: None, written: 0, swept, check }
    }

    /// A reign begins, and with it a walk.
    pub fn begin(&mut self, now: Instant) {
        // So that they are there before anything was deleted.
        metrics::counter!("baton_retention_runs_total").increment(0);
        metrics::counter!("baton_retention_deleted_total").increment(0);
        (self.after, self.deleted) = (0, 0);
        self.due = self.between().map(|rest| now + rest.min(FIRST));
    }

    /// When a step by itself is due. `busy`: a commit is under way; the next one takes the step along.
    pub fn due(&self, busy: bool) -> Option<Instant> {
        let quiet = self.commit.map(|at| at + QUIET);
        self.due.filter(|_| !busy).map(|due| quiet.map_or(due, |quiet| due.max(quiet)))
    }

    /// The step that is due by itself. Another one is only after [`Retention::done`].
    pub fn alone(&mut self, now: Instant, wall: UnixMillis) -> Option<Expiry> {
        self.step(now, wall, ALONE)
    }

    /// A commit of so many writes is handed over: the step that it takes along. Another one is only after
    /// [`Retention::done`].
    pub fn along(&mut self, now: Instant, wall: UnixMillis, writes: usize) -> Option<Expiry> {
        self.commit = Some(now);
        self.written = self.written.saturating_add(writes);
        let patience = if self.written < WRITES { PATIENCE } else { Duration::ZERO };
        self.due.filter(|due| *due + patience <= now)?;
        self.written = 0;
        self.step(now, wall, ALONG)
    }

    fn step(&mut self, now: Instant, wall: UnixMillis, time: Duration) -> Option<Expiry> {
        let keep = i64::try_from(self.keep?.as_millis()).unwrap_or(i64::MAX);
        if !self.check.is_over() {
            self.due = Some(now + LOOK);
            return None;
        }
        self.due = None;
        let before = UnixMillis(wall.0.saturating_sub(keep));
        Some(Expiry { before, after: self.after, limit: ROWS, time })
    }

    /// The step is done; `took`, if it was by itself: the writer is left alone for as long.
    pub fn done(&mut self, now: Instant, expired: &Expired, took: Option<Duration>) {
        let Expired { tasks, counts: _, next } = expired;
        metrics::counter!("baton_retention_deleted_total").increment(*tasks);
        self.deleted += tasks;
        self.after = next.unwrap_or(0);
        self.due = match next {
            Some(_) => Some(now + took.unwrap_or(APART)),
            None => {
                self.end_walk();
                self.between().map(|rest| now + rest)
            }
        };
    }

    /// The step failed and changed nothing: the walk goes on later.
    pub fn failed(&mut self, now: Instant) {
        self.due = Some(now + TROUBLE);
    }

    fn end_walk(&mut self) {
        metrics::counter!("baton_retention_runs_total").increment(1);
        let deleted = std::mem::take(&mut self.deleted);
        if deleted > 0 {
            tracing::info!(tasks = deleted, "Tasks expired");
            self.swept.notify_one();
        }
    }

    fn between(&self) -> Option<Duration> {
        self.keep.map(|keep| (keep / 10).clamp(BETWEEN.1, BETWEEN.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Counts;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn expired(tasks: u64, next: Option<i64>) -> Expired {
        Expired { tasks, counts: Counts::default(), next }
    }

    fn begun(keep: Duration, now: Instant) -> Retention {
        let mut retention = Retention::new(keep, Arc::default(), Over::already());
        retention.begin(now);
        retention
    }

    #[test]
    fn nothing_is_deleted_while_the_store_is_being_checked() {
        let (now, wall, check) = (Instant::now(), UnixMillis(0), Over::default());
        let mut walk = Retention::new(DAY, Arc::default(), check.clone());
        walk.begin(now);
        let due = now + FIRST;
        assert_eq!((walk.alone(due, wall), walk.due(false)), (None, Some(due + LOOK)));
        assert_eq!(walk.along(due + LOOK, wall, WRITES), None);
        check.set();
        assert_eq!(walk.along(due + LOOK, wall, WRITES), None, "looked at lately");
        assert_eq!(walk.along(due + LOOK * 2, wall, WRITES).unwrap().after, 0);
    }

    #[test]
    fn a_walk_goes_on_where_it_was_and_then_rests() {
        let now = Instant::now();
        let mut walk = begun(DAY, now);
        assert_eq!(walk.due(false), Some(now + FIRST));
        let wall = UnixMillis(100_000_000);
        let before = UnixMillis(wall.0 - 86_400_000);
        let step = walk.alone(now, wall).unwrap();
        assert_eq!(step, Expiry { before, after: 0, limit: ROWS, time: ALONE });
        assert_eq!(walk.due(false), None, "one at a time");
        walk.done(now, &expired(5, Some(77)), Some(ALONE * 3));
        assert_eq!(walk.due(false), Some(now + ALONE * 3), "half of the writer's time at most");
        assert_eq!(walk.alone(now, wall).unwrap().after, 77);
        walk.done(now, &expired(0, None), Some(ALONE));
        assert_eq!(walk.due(false), Some(now + Duration::from_secs(3_600)));
        assert_eq!(walk.alone(now, wall).unwrap().after, 0, "from the beginning");
    }

    #[test]
    fn commits_take_steps_along_and_without_any_a_step_is_taken_by_itself() {
        let (start, wall) = (Instant::now(), UnixMillis(0));
        let mut walk = begun(DAY, start);
        assert_eq!(walk.along(start, wall, WRITES), None, "not yet due");
        let now = start + FIRST;
        let step = walk.along(now, wall, WRITES).unwrap();
        assert_eq!((step.after, step.time), (0, ALONG));
        assert_eq!(walk.along(now, wall, WRITES), None, "one at a time");
        walk.done(now, &expired(3, Some(9)), None);
        assert_eq!((walk.due(true), walk.due(false)), (None, Some(now + QUIET)));
        assert_eq!(walk.along(now, wall, WRITES), None, "most commits go without");
        assert_eq!(walk.along(now + APART, wall, WRITES).unwrap().after, 9);
    }

    #[test]
    fn of_small_commits_few_take_a_step_along() {
        let (start, wall) = (Instant::now(), UnixMillis(0));
        let mut walk = begun(DAY, start);
        let mut now = start + FIRST;
        let mut steps = Vec::new();
        for (writes, apart) in [(1, APART), (WRITES / 4, APART), (1_000, APART), (1, PATIENCE / 2)] {
            let commits = (0..1_000).filter(|_| {
                now += apart;
                let step = walk.along(now, wall, writes);
                if step.is_some() {
                    walk.done(now, &expired(1, Some(1)), None);
                }
                step.is_some()
            });
            steps.push(commits.count());
        }
        // After 4 ms and then 25, in commits 4 ms apart; every fourth; each; after 4 ms and then 25, in commits 12.5 ms apart.
        assert_eq!(steps, [125, 250, 1_000, 333]);
    }

    #[test]
    fn nothing_goes_where_all_is_kept() {
        let mut walk = begun(Duration::ZERO, Instant::now());
        assert_eq!((walk.due(false), walk.alone(Instant::now(), UnixMillis(9))), (None, None));
        assert_eq!(walk.along(Instant::now(), UnixMillis(9), WRITES), None);
    }

    #[tokio::test]
    async fn output_is_swept_after_a_walk_that_deleted_something() {
        let swept = Arc::new(Notify::new());
        let mut walk = Retention::new(DAY, Arc::clone(&swept), Over::already());
        let now = Instant::now();
        walk.begin(now);
        walk.done(now, &expired(1, Some(1)), None);
        walk.done(now, &expired(0, None), None);
        swept.notified().await;
        walk.done(now, &expired(0, None), None);
        let told = tokio::select! { biased; () = swept.notified() => true, () = std::future::ready(()) => false };
        assert!(!told, "nothing was deleted");
    }
}
