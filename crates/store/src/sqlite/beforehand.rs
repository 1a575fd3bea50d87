//! What retention deletes next is read before, on a thread of its own: what the kernel's cache doesn't hold comes from the disk
//! there, and no commit that takes a step along waits for it.
//!
//! Must never decide over anything but time: what is read is dropped, and whatever fails here a step meets itself.

use super::apply::{int, uint};
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
const CHUNK: usize = 64;
/// Chunks that lie before the next step, at most: together a few times what one deletes.
const CHUNKS: usize = 32;
/// What they hold is enough from here on. More would have left the kernel's cache again by then.
const BYTES: u64 = 8 << 20;

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
            match reader.with(|conn| read_chunk(conn, after, &next)) {
                Ok(Some(chunk)) => chunks.add(chunk),
                Ok(None) | Err(_) => break,
            }
        }
    }
}

/// Some tasks that have been read.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// The last one's row key.
    end: i64,
    /// What goes with them, about.
    bytes: u64,
}

/// What has been read and not yet deleted.
#[derive(Default)]
struct Chunks {
    /// Where the first one begins.
    after: i64,
    read: VecDeque<Chunk>,
}

impl Chunks {
    /// The place behind which to read, if the next step begins behind `next`; `None`: enough is read.
    fn wanted(&mut self, next: i64) -> Option<i64> {
        if next < self.after {
            // Another walk.
            self.read.clear();
        }
        while self.read.front().is_some_and(|chunk| chunk.end <= next) {
            self.read.pop_front();
        }
        self.after = next;
        let enough = self.read.len() >= CHUNKS || self.read.iter().map(|chunk| chunk.bytes).sum::<u64>() >= BYTES;
        (!enough).then(|| self.read.back().map_or(next, |chunk| chunk.end))
    }

    fn add(&mut self, chunk: Chunk) {
        self.read.push_back(chunk);
    }
}

/// Reads a chunk of what goes behind this place. `None`: nothing there is old enough.
fn read_chunk(conn: &Connection, after: i64, step: &Expiry) -> Result<Option<Chunk>, Failure> {
    let tasks = expire::candidates(conn, after, expire::end(step.before), CHUNK)?;
    let Some(end) = tasks.last().map(|last| last.seq) else { return Ok(None) };
    let mut going = tasks.iter().filter(|task| task.goes(step.before)).map(|task| task.seq);
    let mut bytes = 0;
    if let Some(first) = going.next() {
        let last = going.next_back().unwrap_or(first);
        for sql in ROWS {
            bytes += value(conn, sql, [first, last])?.map_or(0, uint);
        }
        for sql in OF_ARRAYS {
            bytes += value(conn, sql, [first, last, int(CHUNK as u64)])?.map_or(0, uint);
        }
    }
    Ok(Some(Chunk { end, bytes }))
}

/// Whatever is deleted from one row key to another; how many bytes that is, about. A value that lies on pages of its own is
/// read to its end.
const ROWS: [&str; 6] = [
    // Keys lie anywhere.
    "SELECT count(other.seq) FROM tasks AS one CROSS JOIN tasks AS other INDEXED BY idem ON other.idem = one.idem
        WHERE one.seq BETWEEN ?1 AND ?2 AND one.idem IS NOT NULL",
    "SELECT count(*) FROM arrays WHERE seq BETWEEN ?1 AND ?2",
    "SELECT ifnull(sum(length(input) + length(spec)), 0) + count(substr(input, -1)) + count(substr(spec, -1))
        FROM specs WHERE seq BETWEEN ?1 AND ?2",
    "SELECT ifnull(sum(length(result)), 0) + count(substr(result, -1)) FROM results WHERE seq BETWEEN ?1 AND ?2",
    "SELECT ifnull(sum(length(message)), 0) FROM progress WHERE seq BETWEEN ?1 AND ?2",
    "SELECT ifnull(sum(length(frames)), 0) + count(substr(frames, -1)) FROM tails WHERE seq BETWEEN ?1 AND ?2",
];
/// As much of what belongs to arrays.
const OF_ARRAYS: [&str; 3] = [
    "SELECT ifnull(sum(length(detail)), 0) FROM
        (SELECT detail FROM members WHERE array BETWEEN ?1 AND ?2 ORDER BY array, idx LIMIT ?3)",
    "SELECT ifnull(sum(length(result)), 0) + count(substr(result, -1)) FROM
        (SELECT result FROM member_results WHERE array BETWEEN ?1 AND ?2 ORDER BY array, idx LIMIT ?3)",
    "SELECT ifnull(sum(length(block)), 0) + count(substr(block, -1)) FROM
        (SELECT block FROM entries WHERE array BETWEEN ?1 AND ?2 ORDER BY array, first LIMIT ?3 / 16)",
];

#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    ROWS.into_iter().chain(OF_ARRAYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::samples::{id, in_state, queued};
    use crate::conformance::scribe::Scribe;
    use crate::{Store, sqlite::SqliteStore};
    use domain::{Final, State, UnixMillis};

    /// Reads until enough is read, chunks of ten tasks; where they ended.
    fn read(chunks: &mut Chunks, next: i64, bytes: u64) -> std::ops::RangeInclusive<i64> {
        let before = chunks.read.back().map_or(0, |chunk| chunk.end);
        let read = |chunks: &mut Chunks| {
            let end = chunks.wanted(next)? + 10;
            chunks.add(Chunk { end, bytes });
            Some(end)
        };
        let ends: Vec<i64> = std::iter::from_fn(|| read(chunks)).collect();
        ends.first().copied().unwrap_or(before + 1)..=ends.last().copied().unwrap_or(before)
    }

    #[test]
    fn each_task_is_read_once_a_walk_and_a_few_steps_ahead() {
        let mut chunks = Chunks::default();
        assert_eq!(read(&mut chunks, 5, 1), 15..=325);
        assert!(read(&mut chunks, 7, 1).is_empty(), "the first chunk isn't done with");
        assert_eq!(read(&mut chunks, 15, 1), 335..=335);
        assert_eq!(read(&mut chunks, 44, 1), 345..=355);
        assert_eq!(read(&mut chunks, 900, 1), 910..=1_220, "steps were faster");
        assert_eq!(read(&mut chunks, 2, 1), 12..=322, "another walk");
        let (mut chunks, third) = (Chunks::default(), BYTES.div_ceil(3));
        assert_eq!(read(&mut chunks, 0, third), 10..=30, "large ones");
        assert_eq!(read(&mut chunks, 10, third), 40..=40);
    }

    #[test]
    fn what_a_task_takes_with_it_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        let (epoch, mut scribe) = (store.begin().unwrap().epoch, Scribe::default());
        for n in 0..100 {
            let mut task = in_state(queued(n), State::Final(Final::Completed));
            task.result = vec![7; 10_000];
            scribe.insert(&task);
        }
        store.commit(&scribe.batch(epoch)).unwrap();
        let step = |before| Expiry { before, after: 0, limit: 1, time: std::time::Duration::MAX };
        let conn = store.conn().unwrap();
        let old = UnixMillis(id(0).unix_ms() as i64 + (1 << 47));
        let chunk = read_chunk(conn, 0, &step(old)).unwrap().unwrap();
        assert_eq!(chunk.end, id(CHUNK as u64 - 1).row_key());
        assert!((640_000..700_000).contains(&chunk.bytes), "{chunk:?}");
        let rest = read_chunk(conn, chunk.end, &step(old)).unwrap().unwrap();
        assert_eq!(rest.end, id(99).row_key());
        assert!(read_chunk(conn, rest.end, &step(old)).unwrap().is_none());
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
