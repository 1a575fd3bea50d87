//! Members, changes of tasks, and what belongs to them into rows. New tasks: `insert`.

use super::apply::int;
use super::classes::Class;
use super::names::Names;
use super::rows::fault;
use crate::record::{encode_frames, encode_task};
use crate::{Failure, Reason, waiting};
use domain::{Final, Frame, Progress, Stamp, State, Task, TaskId, UnixMillis};
use rusqlite::{CachedStatement, Connection, params};

/// The first row of a member.
pub(super) fn insert_member(
    conn: &Connection,
    names: &mut Names,
    task: &Task,
    index: u32,
    class: Class,
) -> Result<(), Failure> {
    let worker = worker(conn, names, task)?;
    let sql = "INSERT INTO members(array, idx, state, class, worker, ready, due_ms, updated_ms, finished_ms, detail)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let values = params![
        task.id.row_key(),
        index,
        task.state.word().code(),
        class.id,
        worker,
        waiting::ready(task).map(int),
        waiting::due_ms(task),
        task.updated.0,
        task.finished.map(|f| f.at.0),
        encode_task(task)
    ];
    conn.prepare_cached(sql).and_then(|mut s| s.execute(values)).map_err(clash)?;
    Ok(())
}

/// Tasks and members as they stand now, with a statement each that is prepared once for a batch: to look it up and to put it
/// back costs a tenth of what it does.
pub(super) struct Updates<'c> {
    conn: &'c Connection,
    tasks: Option<CachedStatement<'c>>,
    members: Option<CachedStatement<'c>>,
}

const TASK: &str =
    "UPDATE tasks SET state = ?3, worker = ?4, ready = ?5, due_ms = ?6, updated_ms = ?7, finished_ms = ?8,
    detail = ?9 WHERE seq = ?1 AND id = ?2";
const MEMBER: &str = "UPDATE members SET state = ?3, worker = ?4, ready = ?5, due_ms = ?6, updated_ms = ?7,
    finished_ms = ?8, detail = ?9 WHERE array = ?1 AND idx = ?2";

impl<'c> Updates<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self { conn, tasks: None, members: None }
    }

    /// A task or member as it stands now. That it has a row is checked by changing it.
    pub(super) fn update(&mut self, names: &mut Names, task: &Task) -> Result<(), Failure> {
        let worker = worker(self.conn, names, task)?;
        let (place, sql) = match task.id.index() {
            Some(_) => (&mut self.members, MEMBER),
            None => (&mut self.tasks, TASK),
        };
        let statement = match place {
            Some(statement) => statement,
            none => none.insert(self.conn.prepare_cached(sql).map_err(fault)?),
        };
        if set(statement, task, worker).map_err(fault)? == 0 {
            return Err(Failure::Definite(Reason::Other(format!("no task {}", task.id))));
        }
        array(self.conn, task, None).map_err(fault)?;
        result(self.conn, task).map_err(fault)
    }
}

fn set(statement: &mut CachedStatement<'_>, task: &Task, worker: Option<i64>) -> rusqlite::Result<usize> {
    statement.raw_bind_parameter(1, task.id.row_key())?;
    match task.id.index() {
        Some(index) => statement.raw_bind_parameter(2, index)?,
        None => statement.raw_bind_parameter(2, task.id.uuid_bytes())?,
    }
    statement.raw_bind_parameter(3, task.state.word().code())?;
    statement.raw_bind_parameter(4, worker)?;
    statement.raw_bind_parameter(5, waiting::ready(task).map(int))?;
    statement.raw_bind_parameter(6, waiting::due_ms(task))?;
    statement.raw_bind_parameter(7, task.updated.0)?;
    statement.raw_bind_parameter(8, task.finished.map(|f| f.at.0))?;
    statement.raw_bind_parameter(9, encode_task(task))?;
    statement.raw_execute()
}

/// What is asked of arrays alone; nothing of other tasks. `class` is that of a new one.
pub(super) fn array(conn: &Connection, task: &Task, class: Option<Class>) -> rusqlite::Result<()> {
    let (Some(books), Some(ends)) = (&task.array, waiting::ends(task)) else { return Ok(()) };
    let (seq, ready, ends, early) = (task.id.row_key(), waiting::ready(task).map(int), int(ends), int(books.early));
    match class {
        Some(class) => conn
            .prepare_cached("INSERT INTO arrays(seq, class, ready, ends, early) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![seq, class.id, ready, ends, early]),
        None => conn
            .prepare_cached("UPDATE arrays SET ready = ?2, ends = ?3, early = ?4 WHERE seq = ?1")?
            .execute(params![seq, ready, ends, early]),
    }
    .map(drop)
}

/// The interned name of the worker that has it, or that it waits for.
pub(super) fn worker(conn: &Connection, names: &mut Names, task: &Task) -> Result<Option<i64>, Failure> {
    task.assigned().map(|w| names.intern(conn, w.as_str())).transpose().map_err(fault)
}

/// Most tasks have none: it has a table of its own.
pub(super) fn result(conn: &Connection, task: &Task) -> rusqlite::Result<()> {
    if task.result.is_empty() {
        return Ok(());
    }
    let seq = task.id.row_key();
    match task.id.index() {
        Some(index) => conn
            .prepare_cached("INSERT OR REPLACE INTO member_results(array, idx, result) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, index, task.result]),
        None => conn
            .prepare_cached("INSERT OR REPLACE INTO results(seq, result) VALUES (?1, ?2)")?
            .execute(params![seq, task.result]),
    }
    .map(drop)
}

/// The records stay as they are: whoever reads them applies the cancellation, which the array's record holds.
pub(super) fn close(conn: &Connection, array: TaskId, at: UnixMillis) -> rusqlite::Result<()> {
    let cancelled = State::Final(Final::Cancelled { unconfirmed: None }).word().code();
    for sql in CLOSE {
        conn.prepare_cached(sql)?.execute((array.row_key(), cancelled, at.0))?;
    }
    Ok(())
}

/// The index's two conditions, each by itself: SQLite uses it for neither otherwise.
pub(super) const CLOSE: [&str; 2] = [
    "UPDATE members INDEXED BY members_pending SET state = ?2, ready = NULL, due_ms = NULL, updated_ms = ?3,
        finished_ms = ?3 WHERE array = ?1 AND state = 0",
    "UPDATE members INDEXED BY members_pending SET state = ?2, ready = NULL, due_ms = NULL, updated_ms = ?3,
        finished_ms = ?3 WHERE array = ?1 AND state > 7",
];

/// What tells members apart where plain tasks have rows of the same sort.
pub(super) fn member(id: TaskId) -> i64 {
    id.index().map_or(0, |index| i64::from(index) + 1)
}

pub(super) fn progressed(
    conn: &Connection,
    task: TaskId,
    stamp: Stamp,
    attempt: u32,
    said: &Progress,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO progress(seq, member, event, at_ms, attempt, percent, message)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let event = int(stamp.event);
    let values = params![task.row_key(), member(task), event, stamp.at.0, attempt, said.percent, said.message];
    conn.prepare_cached(sql)?.execute(values).map(drop)
}

pub(super) fn tail(conn: &Connection, after: u64, frames: &[Frame]) -> rusqlite::Result<()> {
    let Some(first) = frames.first() else { return Ok(()) };
    let sql =
        "INSERT OR REPLACE INTO tails(seq, member, attempt, first, after, frames) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (task, no) = (first.attempt.task, first.attempt.no.0);
    let values = params![task.row_key(), member(task), no, int(first.number), int(after), encode_frames(frames)];
    conn.prepare_cached(sql)?.execute(values).map(drop)
}

/// A row or key that exists already is a definite refusal.
pub(super) fn clash(error: rusqlite::Error) -> Failure {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
        return Failure::Definite(Reason::Clash);
    }
    fault(error)
}
