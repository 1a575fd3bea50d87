//! Readers: a few connections that can only read, lent out one a query.

use super::apply::{int, uint};
use super::rows::{self, fault};
use super::{list, open};
use crate::record::decode_frames;
use crate::{Failure, Reader, spelling};
use domain::{AttemptId, AttemptNo, Event, EventKind, Frame, Page, PageRequest, Progress, Stamp, StateWord, Task};
use domain::{TaskId, UnixMillis};
use rusqlite::{Connection, params};
use std::{path::PathBuf, sync::Condvar, sync::Mutex, sync::MutexGuard, sync::PoisonError};

/// Connections at most: reads are short and the machine has few cores; who comes later waits.
const CONNECTIONS: usize = 4;

/// Reads the same file as the writer, and sees what it has committed.
pub(super) struct SqliteReader {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

/// Connections lent out by their count, the others by themselves.
#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
    /// Connections of an earlier generation are closed on return.
    generation: u64,
}

impl SqliteReader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Closes what is idle now and what is lent on its return.
    pub(super) fn close(&self) {
        let mut pool = self.pool();
        pool.generation += 1;
        pool.idle.clear();
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // A panic while lending leaves the pool as it was: nothing is half done under the lock.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut pool = self.pool();
        while pool.lent >= CONNECTIONS {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent += 1;
        let loan = Loan { reader: self, generation: pool.generation, conn: None, good: false };
        let idle = pool.idle.pop();
        drop(pool);
        loan.read(idle, read)
    }
}

/// One of the places; given back when dropped, also by a panic.
struct Loan<'a> {
    reader: &'a SqliteReader,
    generation: u64,
    conn: Option<Connection>,
    good: bool,
}

impl Loan<'_> {
    fn read<T>(
        mut self,
        idle: Option<Connection>,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let conn = match idle {
            Some(conn) => conn,
            None => open::reader(&self.reader.path).map_err(fault)?,
        };
        let answer = read(self.conn.insert(conn));
        // A connection that failed is not trusted with the next query.
        self.good = answer.is_ok();
        answer
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut pool = self.reader.pool();
        pool.lent -= 1;
        if let Some(conn) = self.conn.take()
            && self.good
            && pool.generation == self.generation
        {
            pool.idle.push(conn);
        }
        drop(pool);
        self.reader.returned.notify_one();
    }
}

impl Reader for SqliteReader {
    fn task(&self, id: TaskId) -> Result<Option<Task>, Failure> {
        self.with(|conn| rows::by_id(conn, id))
    }

    fn named(&self, text: &str, limit: usize) -> Result<Vec<TaskId>, Failure> {
        if text == "last" {
            return self.with(|conn| ids(conn, 0, i64::MAX, 1, 1, |_| true));
        }
        let Some(part) = spelling::abbreviation(text) else { return Ok(Vec::new()) };
        self.with(|conn| {
            let keys = spelling::keys_of_prefix(&part);
            let mut found = ids(conn, *keys.start(), *keys.end(), i64::MAX, limit, |id| spelling::begins(id, &part))?;
            let scan = int(spelling::SUFFIX_SCAN as u64);
            for id in ids(conn, 0, i64::MAX, scan, limit, |id| spelling::ends(id, &part))? {
                if found.len() < limit && !found.contains(&id) {
                    found.push(id);
                }
            }
            Ok(found)
        })
    }

    fn list(&self, request: &PageRequest) -> Result<Page<Task>, Failure> {
        self.with(|conn| list::list(conn, request))
    }

    fn progress(&self, task: TaskId, after: u64) -> Result<Vec<Event>, Failure> {
        let sql = "SELECT event, at_ms, attempt, percent, message FROM progress WHERE seq = ?1 AND event > ?2
            ORDER BY event";
        self.with(|conn| {
            let mut statement = conn.prepare_cached(sql).map_err(fault)?;
            let rows = statement.query_map([task.row_key(), int(after)], |row| {
                Ok(Event {
                    task,
                    stamp: Stamp { event: uint(row.get(0)?), at: UnixMillis(row.get(1)?) },
                    attempt: row.get(2)?,
                    kind: EventKind::Progressed(Progress { percent: row.get(3)?, message: row.get(4)? }),
                })
            });
            rows.and_then(Iterator::collect).map_err(fault)
        })
    }

    fn tails(&self, task: TaskId) -> Result<Vec<(u64, Frame)>, Failure> {
        let sql = "SELECT attempt, after, frames FROM tails WHERE seq = ?1 ORDER BY attempt, first";
        self.with(|conn| {
            let mut statement = conn.prepare_cached(sql).map_err(fault)?;
            let mut rows = statement.query([task.row_key()]).map_err(fault)?;
            let mut tails = Vec::new();
            while let Some(row) = rows.next().map_err(fault)? {
                let attempt = AttemptId { task, no: AttemptNo(row.get(0).map_err(fault)?) };
                let after = uint(row.get(1).map_err(fault)?);
                let bytes: Vec<u8> = row.get(2).map_err(fault)?;
                let frames = decode_frames(attempt, &bytes)
                    .map_err(|error| Failure::Definite(crate::Reason::Other(format!("tail of {task}: {error}"))))?;
                tails.extend(frames.into_iter().map(|frame| (after, frame)));
            }
            Ok(tails)
        })
    }

    fn ahead(&self, task: &Task, limit: u64) -> Result<u64, Failure> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE state = 0
            AND queue = (SELECT id FROM names WHERE text = ?1) AND priority = ?2 AND ready_seq < ?3 LIMIT ?4)";
        self.with(|conn| {
            let values = params![task.spec.queue, task.spec.priority, int(task.ready_seq), int(limit)];
            let count = conn.prepare_cached(sql).and_then(|mut s| s.query_row(values, |row| row.get(0)));
            count.map(uint).map_err(fault)
        })
    }

    fn counts(&self) -> Result<Vec<(StateWord, u64)>, Failure> {
        self.with(|conn| {
            let mut statement = conn.prepare_cached("SELECT n FROM counts WHERE state = ?1").map_err(fault)?;
            let mut count = |word: StateWord| {
                let n = statement.query_row([word.code()], |row| row.get(0)).map_err(fault)?;
                Ok((word, uint(n)))
            };
            StateWord::ALL.into_iter().map(&mut count).collect()
        })
    }
}

/// Ids newest first: looks at `scan` tasks with row keys in the range, gives at most `limit` that match.
fn ids(
    conn: &Connection,
    from: i64,
    to: i64,
    scan: i64,
    limit: usize,
    matches: impl Fn(TaskId) -> bool,
) -> Result<Vec<TaskId>, Failure> {
    let sql = "SELECT id FROM tasks WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq DESC LIMIT ?3";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query([from, to, scan]).map_err(fault)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next().map_err(fault)?
    {
        let id = TaskId::from_bytes(row.get(0).map_err(fault)?);
        if matches(id) {
            found.push(id);
        }
    }
    Ok(found)
}
