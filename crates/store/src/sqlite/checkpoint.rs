//! Checkpoints: what was committed moves from the log into the database on a thread of its own, so that no commit waits for
//! it. Copying 1,000 pages back takes as long as several commits.
//!
//! Must never be what durability rests on: a commit is durable in the log. A checkpoint that fails leaves the log as it was,
//! and the next one copies the same pages again.

use super::open;
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, path::PathBuf, thread, thread::JoinHandle};

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
    pub(super) fn start(path: PathBuf, writer: &mut Connection) -> io::Result<Self> {
        // One waits while one is done: more would find nothing.
        let (ask, asked) = sync_channel(1);
        let thread = thread::Builder::new().name("store-checkpoint".into()).spawn(move || work(&path, &asked))?;
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

fn work(path: &std::path::Path, asked: &Receiver<()>) {
    let mut conn = None;
    for () in asked {
        let done = match &mut conn {
            Some(conn) => checkpoint(conn),
            none => open::checkpointer(path).and_then(|opened| checkpoint(none.insert(opened))),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "The store's log could not be copied back; it stays until it can");
            conn = None;
        }
    }
}

/// As far as readers allow: it waits for nobody.
fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}
