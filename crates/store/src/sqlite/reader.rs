//! Readers: a few connections that can only read, lent out one a query.

use super::members::{self, Arrays};
use super::rows::{Extent, fault, values};
use super::{behind, list, named, open, queues, story, tallies, tokens};
use crate::{Failure, Queue, Reader};
use domain::{Counts, Event, Frame, Page, PageRequest, Task, TaskId, Token};
use rusqlite::Connection;
use std::{path::PathBuf, sync::Arc, sync::Condvar, sync::Mutex, sync::MutexGuard, sync::PoisonError};

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

    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
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
        let conn = self.conn.insert(conn);
        // One transaction, so that a query of several statements sees one moment.
        let answer = conn.unchecked_transaction().map_err(fault).and_then(|moment| read(&moment));
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
        self.with(|conn| Ok(members::find(conn, id)?.map(|found| found.task)))
    }

    fn named(&self, text: &str, limit: usize) -> Result<Vec<TaskId>, Failure> {
        self.with(|conn| named::named(conn, text, limit))
    }

    fn list(&self, request: &PageRequest) -> Result<Page<Task>, Failure> {
        self.with(|conn| list::list(conn, request, list::BOUNDS))
    }

    fn progress(&self, task: TaskId, after: u64) -> Result<Vec<Event>, Failure> {
        self.with(|conn| story::progress(conn, task, after))
    }

    fn tails(&self, task: TaskId) -> Result<Vec<(u64, Frame)>, Failure> {
        self.with(|conn| story::tails(conn, task))
    }

    fn behind(&self, task: &Task, limit: u64) -> Result<u64, Failure> {
        self.with(|conn| behind::behind(conn, task, limit))
    }

    fn counts(&self) -> Result<Counts, Failure> {
        self.with(|conn| tallies::counts(conn, tallies::ALL))
    }

    fn queues(&self) -> Result<Vec<Queue>, Failure> {
        self.with(queues::queues)
    }

    fn failed_members(&self, array: TaskId) -> Result<Vec<u32>, Failure> {
        self.with(|conn| match members::array(conn, array)? {
            Some(_) => values(conn, members::FAILED, [array.row_key()]),
            None => Ok(Vec::new()),
        })
    }

    fn tokens(&self) -> Result<Vec<Token>, Failure> {
        self.with(tokens::tokens)
    }

    fn entries(&self, array: TaskId, ranks: &[u64]) -> Result<Vec<Arc<str>>, Failure> {
        self.with(|conn| {
            let Some(task) = members::array(conn, array)? else { return Ok(Vec::new()) };
            let mut arrays = Arrays::new(conn, Extent::Brief);
            ranks.iter().filter_map(|rank| arrays.entry(&task, *rank).transpose()).collect()
        })
    }
}
