//! Checkpoints: what was committed moves from the log into the database on a thread of its own, so that no commit waits for
//! it. Copying 1,000 pages back takes as long as several commits.
//!
//! Must never be what durability rests on: a commit is durable in the log. A checkpoint that fails leaves the log as it was,
//! and the next one copies the same pages again: what a failed sync left in the kernel's cache alone is written once more.

use super::{open, watermark};
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, path::Path, thread, thread::JoinHandle};

/// Pages of log after which the thread copies them back.
const PAGES: i32 = 1_000;
/// Pages of log after which the writer does: under full load the thread never catches up with it, and the log begins anew
/// only after somebody has. By then the thread has left little to copy. Keeps the log at about 16 MiB.
const PAGES_AT_MOST: i32 = 4_000;

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
        let thread = thread.spawn(move || work(&dir, &asked))?;
        let wake = ask.clone();
        let hook = move |wal: &mut rusqlite::hooks::Wal, pages| {
            if pages >= PAGES_AT_MOST {
                // Busy: the thread is at it. Anything else comes up again in the thread, which says so.
                drop(wal.checkpoint());
            } else if pages >= PAGES {
                let _ = wake.try_send(());
            }
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(io::Error::other)?;
        Ok(Self { ask: Some(ask), thread: Some(thread) })
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

fn work(dir: &Path, asked: &Receiver<()>) {
    let (mut conn, mut failures) = (None, 0_u32);
    for () in asked {
        let done = match &mut conn {
            Some(conn) => checkpoint(conn),
            none => open::checkpointer(&open::file(dir)).and_then(|opened| checkpoint(none.insert(opened))),
        };
        match done {
            Ok(()) => {
                watermark::sync(dir);
                failures = 0;
            }
            Err(error) => {
                if failures.is_multiple_of(SAY_EVERY) {
                    tracing::warn!(%error, failures, "The store's log could not be copied back; it stays until it can");
                }
                (conn, failures) = (None, failures.saturating_add(1));
            }
        }
    }
}

/// As far as readers allow: it waits for nobody.
fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}
