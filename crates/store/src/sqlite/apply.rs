//! A batch's writes as statements, within a transaction that the caller began.
//!
//! Several changes of one task in a batch become one statement: the last state is what counts. Must never read what it is
//! about to change: counts come with the batch, and an update that meets no row fails it.

use super::classes::Classes;
use super::entries;
use super::insert::Inserts;
use super::names::Names;
use super::put::{self, Updates};
use super::rows::fault;
use super::tallies::Tallies;
use crate::{Failure, Reason};
use domain::{Batch, Epoch, Task, TaskId, Write};
use rusqlite::{Connection, ToSql};
use std::{collections::HashMap, sync::Arc};

/// What the writer remembers between batches.
#[derive(Default)]
pub(super) struct Interned {
    pub names: Names,
    pub classes: Classes,
}

impl Interned {
    /// After a rollback: what was interned in it is gone.
    pub(super) fn forget(&mut self) {
        self.names.forget();
        self.classes.forget();
    }
}

/// Applies all writes of a batch; the commit's number.
pub(super) fn apply(conn: &Connection, interned: &mut Interned, batch: &Batch) -> Result<i64, Failure> {
    let last = if ascending(&batch.writes) { None } else { Some(last_states(&batch.writes)) };
    let (mut inserts, mut updates) = (Inserts::new(), Updates::new(conn));
    for (index, write) in batch.writes.iter().enumerate() {
        match write {
            Write::Insert { task, class } => {
                let last = last.as_ref().and_then(|last| last.get(&task.id));
                let now = last.and_then(|l| batch.writes.get(l.index)).and_then(state).unwrap_or(task);
                let Interned { names, classes } = interned;
                let class = classes.intern(conn, names, class)?;
                inserts.insert(conn, names, now, class)?;
            }
            Write::Update(task) if last.as_ref().is_none_or(|last| is_last(last, task.id, index)) => {
                updates.update(&mut interned.names, task)?;
            }
            Write::Update(_) => {}
            Write::Entries { array, first, entries } => {
                entries::put(conn, array.row_key(), *first, entries).map_err(fault)?;
            }
            Write::Close { array, at } => put::close(conn, *array, *at).map_err(fault)?,
            Write::Progressed { task, stamp, attempt, progress } => {
                put::progressed(conn, *task, *stamp, *attempt, progress).map_err(fault)?;
            }
            Write::Tail { after, frames } => put::tail(conn, *after, frames).map_err(fault)?,
            Write::Offered(handlers) => handlers
                .iter()
                .try_for_each(|name| run(conn, "INSERT OR IGNORE INTO offered VALUES (?1)", name))
                .map_err(fault)?,
            Write::Paused { queue, on: true } => {
                run(conn, "INSERT OR IGNORE INTO paused VALUES (?1)", queue).map_err(fault)?;
            }
            Write::Paused { queue, on: false } => {
                run(conn, "DELETE FROM paused WHERE queue = ?1", queue).map_err(fault)?;
            }
            Write::Drained { worker, on: true } => {
                run(conn, "INSERT OR IGNORE INTO drained VALUES (?1)", &worker.as_str()).map_err(fault)?;
            }
            Write::Drained { worker, on: false } => {
                run(conn, "DELETE FROM drained WHERE worker = ?1", &worker.as_str()).map_err(fault)?;
            }
        }
    }
    inserts.finish(conn)?;
    tally(conn, interned, batch)?;
    watermark(conn, batch)
}

fn run(conn: &Connection, sql: &str, value: &dyn ToSql) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([value]).map(drop)
}

/// Where a task's last state in the batch is, and whether the batch inserts it.
struct Last {
    index: usize,
    inserted: bool,
}

fn is_last(last: &HashMap<TaskId, Last>, task: TaskId, index: usize) -> bool {
    last.get(&task).is_some_and(|l| l.index == index && !l.inserted)
}

/// Whether the tasks stand in the order of their ids, as the engine seals them: then none stands twice.
fn ascending(writes: &[Write]) -> bool {
    writes.iter().filter_map(state).map(|task| task.id).is_sorted_by(|a, b| a < b)
}

fn last_states(writes: &[Write]) -> HashMap<TaskId, Last> {
    let mut last: HashMap<TaskId, Last> = HashMap::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        let inserts = matches!(write, Write::Insert { .. });
        if let Some(task) = state(write) {
            let entry = last.entry(task.id).or_insert(Last { index, inserted: false });
            entry.index = index;
            entry.inserted |= inserts;
        }
    }
    last
}

fn state(write: &Write) -> Option<&Arc<Task>> {
    match write {
        Write::Insert { task, class: _ } | Write::Update(task) => Some(task),
        Write::Entries { .. } | Write::Close { .. } => None,
        Write::Progressed { .. } | Write::Tail { .. } => None,
        Write::Offered(_) | Write::Paused { .. } | Write::Drained { .. } => None,
    }
}

fn tally(conn: &Connection, interned: &mut Interned, batch: &Batch) -> Result<(), Failure> {
    let Interned { names, classes } = interned;
    let mut tallies = Tallies::default();
    for tally in &batch.tallies {
        tallies.add(classes.intern(conn, names, &tally.class)?, tally.word, tally.by);
    }
    tallies.write(conn)
}

/// The commit's number, if the epoch is still the batch's. In two statements: RETURNING costs a table ([`Tallies::write`]).
fn watermark(conn: &Connection, batch: &Batch) -> Result<i64, Failure> {
    let sql = "UPDATE meta SET commit_no = commit_no + 1, ready_seq = max(ready_seq, ?2) WHERE epoch = ?1";
    let values = (int(batch.epoch.0), int(batch.ready_seq));
    match conn.prepare_cached(sql).and_then(|mut s| s.execute(values)).map_err(fault)? {
        0 => Err(Failure::Definite(Reason::StaleEpoch)),
        _ => current(conn, "SELECT commit_no FROM meta WHERE epoch = ?1", batch.epoch),
    }
}

/// Fails, definitely, if this is no longer the current epoch.
pub(super) fn fence(conn: &Connection, epoch: Epoch) -> Result<(), Failure> {
    current(conn, "SELECT epoch FROM meta WHERE epoch = ?1", epoch).map(drop)
}

fn current(conn: &Connection, sql: &str, epoch: Epoch) -> Result<i64, Failure> {
    let number = conn.prepare_cached(sql).and_then(|mut s| s.query_row([int(epoch.0)], |row| row.get(0)));
    number.map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Failure::Definite(Reason::StaleEpoch),
        other => fault(other),
    })
}

/// SQLite's integers are signed. Our numbers count up from 1 and never get there.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Back from [`int`].
pub(super) fn uint(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
