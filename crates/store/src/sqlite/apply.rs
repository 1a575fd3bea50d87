//! A batch's writes as statements, within a transaction that the caller began.
//!
//! Several changes of one task in a batch become one statement: the last state is what counts.

use super::names::Names;
use super::rows::fault;
use crate::record::{encode_frames, encode_spec, encode_task, input};
use crate::{Failure, Reason};
use domain::{Batch, Frame, Progress, Stamp, StateWord, Task, TaskId, Write};
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// What a transaction gathers and writes once at its end.
struct Gathered {
    /// By `StateWord::code`.
    counts: [i64; StateWord::ALL.len()],
    ready_seq: u64,
}

/// Applies all writes of a batch.
pub(super) fn apply(conn: &Connection, names: &mut Names, batch: &Batch) -> Result<i64, Failure> {
    let last = last_states(&batch.writes);
    let mut gathered = Gathered { counts: [0; StateWord::ALL.len()], ready_seq: 0 };
    for (index, write) in batch.writes.iter().enumerate() {
        match write {
            Write::Insert(task) => {
                let now = last.get(&task.id).and_then(|l| batch.writes.get(l.index)).and_then(state).unwrap_or(task);
                insert(conn, names, now)?;
                gathered.note(now, 1);
            }
            Write::Update(task) if last.get(&task.id).is_some_and(|l| l.index == index && !l.inserted) => {
                let before = update(conn, names, task)?;
                gathered.note(task, 1);
                gathered.count(before, -1);
            }
            Write::Update(_) => {}
            Write::Progressed { task, stamp, attempt, progress } => {
                progressed(conn, *task, *stamp, *attempt, progress).map_err(fault)?;
            }
            Write::Tail { after, frames } => tail(conn, *after, frames).map_err(fault)?,
            Write::Offered(handlers) => {
                for name in handlers {
                    conn.prepare_cached("INSERT OR IGNORE INTO offered VALUES (?1)")
                        .and_then(|mut s| s.execute([name]))
                        .map_err(fault)?;
                }
            }
        }
    }
    gathered.write(conn, batch)
}

/// Where a task's last state in the batch is, and whether the batch inserts it.
struct Last {
    index: usize,
    inserted: bool,
}

fn last_states(writes: &[Write]) -> HashMap<TaskId, Last> {
    let mut last: HashMap<TaskId, Last> = HashMap::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        let inserts = matches!(write, Write::Insert(_));
        if let Some(task) = state(write) {
            let entry = last.entry(task.id).or_insert(Last { index, inserted: false });
            entry.index = index;
            entry.inserted |= inserts;
        }
    }
    last
}

fn state(write: &Write) -> Option<&std::sync::Arc<Task>> {
    match write {
        Write::Insert(task) | Write::Update(task) => Some(task),
        Write::Progressed { .. } | Write::Tail { .. } | Write::Offered(_) => None,
    }
}

fn insert(conn: &Connection, names: &mut Names, task: &Task) -> Result<(), Failure> {
    let seq = task.id.row_key();
    let queue = names.intern(conn, &task.spec.queue).map_err(fault)?;
    let name = names.intern(conn, &task.spec.name).map_err(fault)?;
    let worker = task.worker().map(|w| names.intern(conn, w.as_str())).transpose().map_err(fault)?;
    let sql = "INSERT INTO tasks(seq, id, state, priority, queue, name, worker, ready_seq, accepted_ms, updated_ms,
        finished_ms, idem, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let values = params![
        seq,
        task.id.to_bytes(),
        task.state.word().code(),
        task.spec.priority,
        queue,
        name,
        worker,
        int(task.ready_seq),
        task.accepted.at.0,
        task.updated.0,
        task.finished.map(|f| f.at.0),
        task.spec.key.as_ref().map(|k| k.key),
        encode_task(task)
    ];
    conn.prepare_cached(sql).and_then(|mut s| s.execute(values)).map_err(clash)?;
    conn.prepare_cached("INSERT INTO specs(seq, spec, input) VALUES (?1, ?2, ?3)")
        .and_then(|mut s| s.execute(params![seq, encode_spec(&task.spec), input(&task.spec)]))
        .map_err(clash)?;
    result(conn, task).map_err(fault)
}

/// Returns the state's code before.
fn update(conn: &Connection, names: &mut Names, task: &Task) -> Result<u8, Failure> {
    let seq = task.id.row_key();
    let before = conn
        .prepare_cached("SELECT state FROM tasks WHERE seq = ?1 AND id = ?2")
        .and_then(|mut s| s.query_row(params![seq, task.id.to_bytes()], |row| row.get(0)))
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => Failure::Definite(Reason::Other(format!("no task {}", task.id))),
            other => fault(other),
        })?;
    let worker = task.worker().map(|w| names.intern(conn, w.as_str())).transpose().map_err(fault)?;
    let sql = "UPDATE tasks SET state = ?2, worker = ?3, ready_seq = ?4, updated_ms = ?5, finished_ms = ?6, detail = ?7
        WHERE seq = ?1";
    let values = params![
        seq,
        task.state.word().code(),
        worker,
        int(task.ready_seq),
        task.updated.0,
        task.finished.map(|f| f.at.0),
        encode_task(task)
    ];
    conn.prepare_cached(sql).and_then(|mut s| s.execute(values)).map_err(fault)?;
    result(conn, task).map_err(fault)?;
    Ok(before)
}

/// Most tasks have none: it has a table of its own.
fn result(conn: &Connection, task: &Task) -> rusqlite::Result<()> {
    if !task.result.is_empty() {
        conn.prepare_cached("INSERT OR REPLACE INTO results(seq, result) VALUES (?1, ?2)")?
            .execute(params![task.id.row_key(), task.result])?;
    }
    Ok(())
}

fn progressed(conn: &Connection, task: TaskId, stamp: Stamp, attempt: u32, said: &Progress) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO progress(seq, event, at_ms, attempt, percent, message)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![task.row_key(), int(stamp.event), stamp.at.0, attempt, said.percent, said.message];
    conn.prepare_cached(sql)?.execute(values).map(drop)
}

fn tail(conn: &Connection, after: u64, frames: &[Frame]) -> rusqlite::Result<()> {
    let Some(first) = frames.first() else { return Ok(()) };
    let sql = "INSERT OR REPLACE INTO tails(seq, attempt, first, after, frames) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values =
        params![first.attempt.task.row_key(), first.attempt.no.0, int(first.number), int(after), encode_frames(frames)];
    conn.prepare_cached(sql)?.execute(values).map(drop)
}

impl Gathered {
    fn note(&mut self, task: &Task, by: i64) {
        self.ready_seq = self.ready_seq.max(task.ready_seq);
        self.count(task.state.word().code(), by);
    }

    fn count(&mut self, code: u8, by: i64) {
        if let Some(n) = self.counts.get_mut(usize::from(code)) {
            *n += by;
        }
    }

    /// Writes counts and the watermark, if the epoch is still the batch's; the commit's number.
    fn write(self, conn: &Connection, batch: &Batch) -> Result<i64, Failure> {
        for (code, n) in self.counts.iter().enumerate().filter(|(_, n)| **n != 0) {
            conn.prepare_cached("UPDATE counts SET n = n + ?2 WHERE state = ?1")
                .and_then(|mut s| s.execute(params![int(code as u64), n]))
                .map_err(fault)?;
        }
        let sql = "UPDATE meta SET commit_no = commit_no + 1, ready_seq = max(ready_seq, ?2) WHERE epoch = ?1
            RETURNING commit_no";
        conn.prepare_cached(sql)
            .and_then(|mut s| s.query_row([int(batch.epoch.0), int(self.ready_seq)], |row| row.get(0)))
            .map_err(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Failure::Definite(Reason::StaleEpoch),
                other => fault(other),
            })
    }
}

fn clash(error: rusqlite::Error) -> Failure {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
        return Failure::Definite(Reason::Clash);
    }
    fault(error)
}

/// SQLite's integers are signed. Our numbers count up from 1 and never get there.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Back from [`int`].
pub(super) fn uint(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
