//! Checkpoints: what was committed moves from the log into the database on a thread of its own, so that no commit waits for
//! it. Copying 1,000 pages back takes as long as several commits.
//!
//! While somebody reads for long – a check of the whole store, a backup – the log can't begin anew, and grows. Looking for what
//! can be copied then costs more the longer it is: only the thread does, and not often; and all that has gathered is copied by
//! the thread alone, however long that takes.
//!
//! Must never be what durability rests on: a commit is durable in the log. A checkpoint that fails leaves the log as it was,
//! and the next one copies the same pages again: what a failed sync left in the kernel's cache alone is written once more.

use super::{open, watermark};
use rusqlite::Connection;
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Pages of log after which the thread copies them back.
const PAGES: i32 = 1_000;
/// Pages of log after which the writer does: under full load the thread never catches up with it, and the log begins anew
/// only after somebody has. By then the thread has left little to copy. Keeps the log at about 16 MiB.
const PAGES_AT_MOST: i32 = 4_000;
/// A log of which so much can't be copied is held by a reader. Known before the writer's turn: it would look at all of the log
/// with each commit, and copy it in one as soon as the reader has gone.
const PAGES_HELD: i32 = PAGES_AT_MOST / 2;
/// Between two tries while a reader holds the log.
const HELD_PAUSE: Duration = Duration::from_millis(100);

/// The thread. Dropped after the writer's connection, it ends.
pub(super) struct Checkpoints {
    /// `None` only while it is dropped.
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread, and has `writer` wake it.
    pub(super) fn start(dir: &Path, writer: &mut Connection) -> io::Result<Self> {
        // One waits while one is done: more would find nothing.
        let (ask, asked) = sync_channel(1);
        let (thread, dir) = (thread::Builder::new().name("store-checkpoint".into()), dir.to_owned());
        let held = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&held);
        let thread = thread.spawn(move || work(&dir, &asked, &told))?;
        let wake = ask.clone();
        let mut turns = Turns::default();
        let hook = move |wal: &mut rusqlite::hooks::Wal, pages| {
            let turn = turns.after(pages);
            if turn.writer && !held.load(Ordering::Relaxed) {
                // Busy: the thread is at it. Anything else comes up again in the thread, which says so.
                drop(wal.checkpoint());
            }
            if turn.thread {
                let _ = wake.try_send(());
            }
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(io::Error::other)?;
        Ok(Self { ask: Some(ask), thread: Some(thread) })
    }
}

/// Whose turn it is after a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Turn {
    /// Unless a reader holds the log.
    writer: bool,
    thread: bool,
}

/// What decides that.
#[derive(Default)]
struct Turns {
    /// Pages of log when the thread was woken last.
    woken_at: i32,
}

impl Turns {
    /// A commit has left so many pages of log.
    fn after(&mut self, pages: i32) -> Turn {
        if pages < self.woken_at {
            // The log has begun anew.
            self.woken_at = 0;
        }
        let writer = pages >= PAGES_AT_MOST;
        // Not with each commit: what a reader holds now, it holds then. Also where the writer's own doesn't help: the thread
        // finds out why.
        let thread = pages - self.woken_at >= PAGES && (!writer || pages >= 2 * PAGES_AT_MOST);
        if thread {
            self.woken_at = pages;
        }
        Turn { writer, thread }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened; the writer's own checkpoints go on.
            drop(thread.join());
        }
    }
}

/// One line in so many failures: a full disk lasts for hours, and its log may stand on it.
const SAY_EVERY: u32 = 1_000;

/// `held` is told: the writer must leave it to this thread.
fn work(dir: &Path, asked: &Receiver<()>, held: &AtomicBool) {
    let (mut conn, mut failures, mut backlog) = (None, 0_u32, Backlog::default());
    while backlog.is_behind() || asked.recv().is_ok() {
        let done = match &mut conn {
            Some(conn) => checkpoint(conn),
            none => open::checkpointer(&open::file(dir)).and_then(|opened| checkpoint(none.insert(opened))),
        };
        match done {
            Ok(found) => {
                watermark::sync(dir);
                failures = 0;
                backlog = backlog.after(found);
                held.store(!matches!(backlog, Backlog::None { .. }), Ordering::Relaxed);
                if matches!(backlog, Backlog::Held { .. }) {
                    thread::sleep(HELD_PAUSE);
                }
            }
            Err(error) => {
                if failures.is_multiple_of(SAY_EVERY) {
                    tracing::warn!(%error, failures, "The store's log could not be copied back; it stays until it can");
                }
                (conn, failures, backlog) = (None, failures.saturating_add(1), Backlog::default());
                held.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// Pages of log when a checkpoint began, and how many of them were in the database at its end.
#[derive(Clone, Copy, Debug)]
struct Found {
    log: i32,
    copied: i32,
}

/// What is left to copy, so that the writer doesn't come upon more than it can copy in a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Backlog {
    /// Not much, but for what comes.
    None { copied: i32 },
    /// A reader holds much of the log.
    Held { copied: i32 },
    /// The reader is gone; so many pages were copied by the last checkpoint, which took long enough for many more to come.
    Behind { copied: i32, pages: i32 },
}

impl Default for Backlog {
    fn default() -> Self {
        Self::None { copied: 0 }
    }
}

impl Backlog {
    /// Whether the thread goes on without being asked.
    fn is_behind(self) -> bool {
        matches!(self, Self::Behind { .. })
    }

    /// What a checkpoint left.
    fn after(self, Found { log, copied }: Found) -> Self {
        if log - copied > PAGES_HELD {
            return Self::Held { copied };
        }
        let (Self::None { copied: before } | Self::Held { copied: before } | Self::Behind { copied: before, .. }) =
            self;
        // A log that is shorter than what was copied is another one.
        let pages = if before <= copied { copied - before } else { copied };
        match self {
            Self::None { .. } => Self::None { copied },
            _ if pages <= PAGES_AT_MOST => Self::None { copied },
            // Each round copies what came during the one before. If that doesn't become less, the writer has to wait.
            Self::Behind { pages: last, .. } if pages >= last => Self::None { copied },
            Self::Held { .. } | Self::Behind { .. } => Self::Behind { copied, pages },
        }
    }
}

/// As far as readers allow: it waits for nobody.
fn checkpoint(conn: &Connection) -> rusqlite::Result<Found> {
    let mut statement = conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    // Whether somebody else is at it; then -1 twice, which is nothing left.
    statement.query_row([], |row| Ok(Found { log: row.get(1)?, copied: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_woken_by_each_thousand_pages_of_a_log_and_the_writer_helps_with_a_long_one() {
        let mut turns = Turns::default();
        let turns = [
            7, 999, 1_000, 1_001, 1_999, 2_040, 3_039, 3_040, 4_000, 5_000, 7_999, 8_000, 8_001, 9_000, 12, 999, 1_003,
            1_004,
        ]
        .map(|pages| (pages, turns.after(pages)))
        .into_iter();
        let of = |whose: fn(&Turn) -> bool| turns.clone().filter(move |(_, turn)| whose(turn)).map(|(pages, _)| pages);
        assert_eq!(of(|turn| turn.thread).collect::<Vec<_>>(), [1_000, 2_040, 3_040, 8_000, 9_000, 1_003]);
        assert_eq!(of(|turn| turn.writer).collect::<Vec<_>>(), [4_000, 5_000, 7_999, 8_000, 8_001, 9_000]);
    }

    #[test]
    fn the_writer_leaves_to_the_thread_what_gathered_behind_a_reader() {
        let found = |log, copied| Found { log, copied };
        let none = Backlog::default().after(found(1_200, 1_200));
        assert_eq!(none, Backlog::None { copied: 1_200 });
        assert_eq!(none.after(found(3_300, 1_300)), Backlog::None { copied: 1_300 }, "somebody reads, as always");
        assert_eq!(none.after(found(3_301, 1_300)), Backlog::Held { copied: 1_300 }, "before it is the writer's turn");
        let held = none.after(found(90_000, 1_200));
        assert_eq!(held, Backlog::Held { copied: 1_200 });
        let behind = held.after(found(91_200, 91_200));
        assert_eq!(behind, Backlog::Behind { copied: 91_200, pages: 90_000 }, "much came while that was copied");
        let again = behind.after(found(121_200, 121_200));
        assert_eq!(again, Backlog::Behind { copied: 121_200, pages: 30_000 });
        assert_eq!(again.after(found(125_000, 125_000)), Backlog::None { copied: 125_000 });
        assert_eq!(again.after(found(160_000, 160_000)), Backlog::None { copied: 160_000 }, "it doesn't catch up");
        assert_eq!(again.after(found(5, 5)), Backlog::None { copied: 5 }, "the log has begun anew");
        assert_eq!(held.after(found(-1, -1)), Backlog::None { copied: -1 }, "somebody else is at it");
    }
}
