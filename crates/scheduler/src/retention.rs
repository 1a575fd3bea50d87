//! Retention: tasks that ended long ago are deleted in the background, in steps so small that nobody waits for one.
//!
//! A walk begins with the oldest task and ends where nothing is old enough; then it rests. This is the pacing alone: the
//! loop hands the steps to the writer, and must not hand over one while another is under way.

use domain::UnixMillis;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Expired;
use tokio::sync::Notify;

/// How long a step may take, its sync included: a submit that comes meanwhile waits for it.
const STEP: Duration = Duration::from_millis(1);
/// After a step the writer is left alone for so many times as long: steps may have a fifth of its time if it has other work,
/// half of it if there is none.
const REST: (u32, u32) = (4, 1);
/// How long a step waits for a moment without a commit under way; beyond it, it takes its turn: under full load there is
/// none.
const PATIENCE: Duration = Duration::from_millis(50);
/// Rows that a step looks at: at first, at least, at most. The least keeps a slow disk, whose sync alone takes longer than
/// a step may, from never getting on.
const ROWS: (usize, usize, usize) = (64, 16, 8_192);
/// The longest and the shortest rest between two walks; in between, a tenth of what is kept.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_millis(100));
/// The first walk of a reign waits so long at most: those who waited for the scheduler come first.
const FIRST: Duration = Duration::from_secs(10);
/// After a step that failed.
const TROUBLE: Duration = Duration::from_secs(60);

/// The pace of deletion. It outlives reigns; a walk doesn't.
pub(crate) struct Retention {
    /// `None`: all is kept for ever.
    keep: Option<Duration>,
    rows: usize,
    /// Where the next step begins; 0: with the oldest task.
    after: i64,
    /// Deleted in this walk.
    deleted: u64,
    /// Whether the writer had other work since the last step.
    work: bool,
    /// When the next step is due; `None`: never, or one is under way.
    due: Option<Instant>,
    /// Told after a walk that deleted something.
    swept: Arc<Notify>,
}

/// What a step looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// Tasks that ended before this go.
    pub before: UnixMillis,
    /// Behind this place.
    pub after: i64,
    /// At most so many rows.
    pub limit: usize,
}

impl Retention {
    /// Keeps tasks so long; zero: for ever.
    pub fn new(keep: Duration, swept: Arc<Notify>) -> Self {
        let keep = (!keep.is_zero()).then_some(keep);
        Self { keep, rows: ROWS.0, after: 0, deleted: 0, work: false, due: None, swept }
    }

    /// A reign begins, and with it a walk.
    pub fn begin(&mut self, now: Instant) {
        // So that they are there before anything was deleted.
        metrics::counter!("baton_retention_runs_total").increment(0);
        metrics::counter!("baton_retention_deleted_total").increment(0);
        (self.after, self.deleted) = (0, 0);
        self.due = self.between().map(|rest| now + rest.min(FIRST));
    }

    /// When the next step is due. `busy`: a commit is under way.
    pub fn due(&self, busy: bool) -> Option<Instant> {
        self.due.map(|due| if busy { due + PATIENCE } else { due })
    }

    /// The writer was given other work.
    pub fn others(&mut self) {
        self.work = true;
    }

    /// The step that is due. Another one is only after [`Retention::done`].
    pub fn step(&mut self, wall: UnixMillis) -> Option<Step> {
        let keep = i64::try_from(self.keep?.as_millis()).unwrap_or(i64::MAX);
        self.due = None;
        Some(Step { before: UnixMillis(wall.0.saturating_sub(keep)), after: self.after, limit: self.rows })
    }

    /// The step is done: it took so long.
    pub fn done(&mut self, now: Instant, expired: &Expired, took: Duration) {
        let Expired { tasks, counts: _, next } = expired;
        metrics::counter!("baton_retention_deleted_total").increment(*tasks);
        self.deleted += tasks;
        if took > STEP {
            self.rows = (self.rows / 2).max(ROWS.1);
        } else if took < STEP / 2 {
            self.rows = (self.rows * 2).min(ROWS.2);
        }
        self.after = next.unwrap_or(0);
        self.due = match next {
            Some(_) => Some(now + took * if std::mem::take(&mut self.work) { REST.0 } else { REST.1 }),
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
        let mut retention = Retention::new(keep, Arc::default());
        retention.begin(now);
        retention
    }

    #[test]
    fn a_walk_goes_on_where_it_was_and_then_rests() {
        let now = Instant::now();
        let mut walk = begun(DAY, now);
        assert_eq!(walk.due(false), Some(now + FIRST));
        let wall = UnixMillis(100_000_000);
        let step = walk.step(wall).unwrap();
        assert_eq!(step, Step { before: UnixMillis(wall.0 - 86_400_000), after: 0, limit: ROWS.0 });
        assert_eq!(walk.due(false), None, "one at a time");
        walk.others();
        walk.done(now, &expired(5, Some(77)), STEP);
        assert_eq!(walk.due(false), Some(now + STEP * REST.0));
        assert_eq!(walk.step(wall).unwrap().after, 77);
        walk.done(now, &expired(5, Some(99)), STEP);
        assert_eq!(walk.due(false), Some(now + STEP * REST.1), "nobody else wants the writer");
        walk.done(now, &expired(0, None), STEP);
        assert_eq!(walk.due(false), Some(now + Duration::from_secs(3_600)));
        assert_eq!(walk.step(wall).unwrap().after, 0, "from the beginning");
    }

    #[test]
    fn steps_become_as_large_as_they_may_and_wait_for_commits() {
        let now = Instant::now();
        let mut walk = begun(DAY, now);
        let mut after = |took| {
            walk.done(now, &expired(0, Some(1)), took);
            walk.rows
        };
        let (slow, fast) = (STEP * 3, STEP / 4);
        assert_eq!([after(fast), after(STEP), after(slow), after(slow), after(slow)], [128, 128, 64, 32, 16]);
        assert_eq!((0..20).map(|_| after(fast)).last(), Some(ROWS.2));
        let due = walk.due(false).unwrap();
        assert_eq!(walk.due(true), Some(due + PATIENCE));
    }

    #[test]
    fn nothing_goes_where_all_is_kept() {
        let mut walk = begun(Duration::ZERO, Instant::now());
        assert_eq!((walk.due(false), walk.step(UnixMillis(9))), (None, None));
    }

    #[tokio::test]
    async fn output_is_swept_after_a_walk_that_deleted_something() {
        let swept = Arc::new(Notify::new());
        let mut walk = Retention::new(DAY, Arc::clone(&swept));
        let now = Instant::now();
        walk.begin(now);
        walk.done(now, &expired(1, Some(1)), STEP);
        walk.done(now, &expired(0, None), STEP);
        swept.notified().await;
        walk.done(now, &expired(0, None), STEP);
        let told = tokio::select! { biased; () = swept.notified() => true, () = std::future::ready(()) => false };
        assert!(!told, "nothing was deleted");
    }
}
