//! What retention deletes next is read before, on a thread of its own: what the kernel's cache doesn't hold comes from the disk
//! there, and no commit that takes a step along waits for it.
//!
//! Must never decide over anything but time: what is read is dropped, and whatever fails here a step meets itself.

use super::apply::int;
use super::expire;
use super::reader::SqliteReader;
use super::rows::value;
use crate::{Expiry, Failure};
use rusqlite::Connection;
use std::{
    collections::VecDeque,
    sync::Arc,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

/// Tasks that are read at a time: the log isn't held for longer.
const CHUNK: u64 = 512;
/// Chunks that lie before the next step: together a few times what one deletes.
const CHUNKS: usize = 4;

/// The thread. Dropped, it ends.
pub(super) struct Beforehand {
    /// `None` only while it is dropped.
    ask: Option<SyncSender<Expiry>>,
    thread: Option<JoinHandle<()>>,
}

impl Beforehand {
    /// `None`: no thread can be had. Steps then wait for the disk themselves.
    pub(super) fn start(reader: Arc<SqliteReader>) -> Option<Self> {
        let (ask, asked) = sync_channel(1);
        let thread =
            thread::Builder::new().name("store-beforehand".into()).spawn(move || work(&reader, &asked)).ok()?;
        Some(Self { ask: Some(ask), thread: Some(thread) })
    }

    /// Says what the next step will be. Does not wait.
    pub(super) fn tell(&self, next: Expiry) {
        if let Some(ask) = &self.ask {
            // Full: the thread is at it, and will look at the next one.
            let _ = ask.try_send(next);
        }
    }
}

impl Drop for Beforehand {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            drop(thread.join());
        }
    }
}

fn work(reader: &SqliteReader, asked: &Receiver<Expiry>) {
    let mut chunks = Chunks::default();
    while let Ok(next) = asked.recv() {
        while let Some(after) = chunks.wanted(next.after) {
            match reader.with(|conn| read(conn, after, &next)) {
                Ok(Some(end)) => chunks.add(end),
                Ok(None) | Err(_) => break,
            }
        }
    }
}

/// What has been read and not yet deleted.
#[derive(Default)]
struct Chunks {
    /// Where the first one begins.
    after: i64,
    /// The last row key of each.
    ends: VecDeque<i64>,
}

impl Chunks {
    /// The place behind which to read, if the next step begins behind `next`; `None`: enough is read.
    fn wanted(&mut self, next: i64) -> Option<i64> {
        if next < self.after {
            // Another walk.
            self.ends.clear();
        }
        while self.ends.front().is_some_and(|end| *end <= next) {
            self.ends.pop_front();
        }
        self.after = next;
        (self.ends.len() < CHUNKS).then(|| self.ends.back().map_or(next, |end| *end))
    }

    fn add(&mut self, end: i64) {
        self.ends.push_back(end);
    }
}

/// Reads a chunk of what goes behind this place; the last row key in it. `None`: nothing there is old enough.
fn read(conn: &Connection, after: i64, step: &Expiry) -> Result<Option<i64>, Failure> {
    let old = expire::candidates(conn, after, expire::end(step.before), CHUNK as usize)?;
    let Some(last) = old.last().map(|last| last.seq) else { return Ok(None) };
    let mut going = old.iter().filter(|candidate| candidate.goes(step.before)).map(|candidate| candidate.seq);
    if let Some(first) = going.next() {
        let end = going.next_back().unwrap_or(first);
        for sql in ROWS {
            value::<i64>(conn, sql, [first, end])?;
        }
        for sql in OF_ARRAYS {
            value::<i64>(conn, sql, [first, end, int(CHUNK)])?;
        }
    }
    Ok(Some(last))
}

/// Whatever is deleted from one row key to another. A value that lies on pages of its own is read to its end.
const ROWS: [&str; 6] = [
    // Keys lie anywhere.
    "SELECT count(other.seq) FROM tasks AS one CROSS JOIN tasks AS other INDEXED BY idem ON other.idem = one.idem
        WHERE one.seq BETWEEN ?1 AND ?2 AND one.idem IS NOT NULL",
    "SELECT count(*) FROM arrays WHERE seq BETWEEN ?1 AND ?2",
    "SELECT count(substr(input, -1)) + count(substr(spec, -1)) FROM specs WHERE seq BETWEEN ?1 AND ?2",
    "SELECT count(substr(result, -1)) FROM results WHERE seq BETWEEN ?1 AND ?2",
    "SELECT count(*) FROM progress WHERE seq BETWEEN ?1 AND ?2",
    "SELECT count(substr(frames, -1)) FROM tails WHERE seq BETWEEN ?1 AND ?2",
];
/// The first ones of what belongs to arrays.
const OF_ARRAYS: [&str; 3] = [
    "SELECT count(detail) FROM (SELECT detail FROM members WHERE array BETWEEN ?1 AND ?2 ORDER BY array, idx LIMIT ?3)",
    "SELECT count(substr(result, -1)) FROM
        (SELECT result FROM member_results WHERE array BETWEEN ?1 AND ?2 ORDER BY array, idx LIMIT ?3)",
    "SELECT count(substr(block, -1)) FROM
        (SELECT block FROM entries WHERE array BETWEEN ?1 AND ?2 ORDER BY array, first LIMIT ?3 / 16)",
];

#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    ROWS.into_iter().chain(OF_ARRAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads until enough is read, chunks of ten: where each one began.
    fn read(chunks: &mut Chunks, next: i64) -> Vec<i64> {
        let read = |chunks: &mut Chunks| chunks.wanted(next).inspect(|after| chunks.add(after + 10));
        std::iter::from_fn(|| read(chunks)).collect()
    }

    #[test]
    fn each_task_is_read_once_a_walk_and_a_few_steps_ahead() {
        let mut chunks = Chunks::default();
        assert_eq!(read(&mut chunks, 5), [5, 15, 25, 35]);
        assert_eq!(read(&mut chunks, 7), [0; 0], "the first chunk isn't done with");
        assert_eq!(read(&mut chunks, 15), [45]);
        assert_eq!(read(&mut chunks, 44), [55, 65]);
        assert_eq!(read(&mut chunks, 900), [900, 910, 920, 930], "steps were faster");
        assert_eq!(read(&mut chunks, 2), [2, 12, 22, 32], "another walk");
    }

    #[test]
    fn whatever_a_step_deletes_from_is_read() {
        let table = |sql: &'static str| sql.strip_prefix("DELETE FROM ").and_then(|rest| rest.split(' ').next());
        let tables: Vec<&str> = expire::statements().filter_map(table).collect();
        assert!(tables.len() > 9, "{tables:?}");
        for table in tables {
            let from = format!("FROM {table} ");
            assert!(statements().any(|sql| sql.contains(&from)), "{table}");
        }
    }
}
