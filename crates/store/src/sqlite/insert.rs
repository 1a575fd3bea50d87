//! New tasks into rows, many with one statement: in a batch of many, half of what a row costs is beginning and ending its
//! statement.
//!
//! Rows are gathered over a whole batch and written at its end. Whatever else a batch writes must not need them before.
//! Such a statement keeps a journal of its own: `.cargo/config.toml` says where.

use super::apply::int;
use super::classes::Class;
use super::names::Names;
use super::put::{array, clash, insert_member, result, worker};
use super::rows::fault;
use crate::record::{encode_spec, encode_task, input};
use crate::{Failure, waiting};
use domain::Task;
use rusqlite::{CachedStatement, Connection, ToSql};

/// Rows that one statement inserts: as many of the first size as there are, then of the next. Larger ones gain nothing.
const SIZES: [usize; 3] = [32, 8, 1];

/// A table that gets a row for each new task.
struct Table {
    /// Up to the rows' values.
    head: &'static str,
    columns: usize,
}

const TASKS: Table = Table {
    head: "INSERT INTO tasks(seq, id, state, class, queue, name, worker, ready, due_ms, updated_ms, finished_ms, idem,
        is_array, detail) VALUES ",
    columns: 14,
};
const SPECS: Table = Table { head: "INSERT INTO specs(seq, spec, input) VALUES ", columns: 3 };

/// A task whose row is still to be written, and what of it is interned.
struct Row<'b> {
    task: &'b Task,
    class: Class,
    name: i64,
    worker: Option<i64>,
}

/// The new rows of one batch.
pub(super) struct Inserts<'b> {
    rows: Vec<Row<'b>>,
}

impl<'b> Inserts<'b> {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// A new task, or the first row of a member.
    pub(super) fn insert(
        &mut self,
        conn: &Connection,
        names: &mut Names,
        task: &'b Task,
        class: Class,
    ) -> Result<(), Failure> {
        match task.id.index() {
            Some(index) => insert_member(conn, names, task, index, class)?,
            None => {
                let name = names.intern(conn, &task.spec.name).map_err(fault)?;
                let worker = worker(conn, names, task)?;
                self.rows.push(Row { task, class, name, worker });
                array(conn, task, Some(class)).map_err(fault)?;
            }
        }
        result(conn, task).map_err(fault)
    }

    /// Writes what was gathered.
    pub(super) fn finish(self, conn: &Connection) -> Result<(), Failure> {
        let mut rest = self.rows.as_slice();
        for size in SIZES {
            if rest.len() < size {
                continue;
            }
            let mut tasks = TASKS.statement(conn, size).map_err(fault)?;
            let mut specs = SPECS.statement(conn, size).map_err(fault)?;
            let chunks = rest.chunks_exact(size);
            rest = chunks.remainder();
            for chunk in chunks {
                run(&mut tasks, &TASKS, chunk, task_values)?;
                run(&mut specs, &SPECS, chunk, spec_values)?;
            }
        }
        Ok(())
    }
}

impl Table {
    fn statement<'c>(&self, conn: &'c Connection, rows: usize) -> rusqlite::Result<CachedStatement<'c>> {
        let mut sql = String::from(self.head);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..self.columns {
                sql.push_str(if column == 0 { "?" } else { ",?" });
            }
            sql.push(')');
        }
        conn.prepare_cached(&sql)
    }
}

/// Binds the values of some rows, one column after the other.
struct Values<'s, 'c> {
    statement: &'s mut CachedStatement<'c>,
    /// The last parameter that has a value.
    at: usize,
}

impl Values<'_, '_> {
    fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.at += 1;
        self.statement.raw_bind_parameter(self.at, value)
    }
}

fn run(
    statement: &mut CachedStatement<'_>,
    table: &Table,
    rows: &[Row<'_>],
    values: fn(&mut Values<'_, '_>, &Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), Failure> {
    let mut to = Values { statement, at: 0 };
    rows.iter().try_for_each(|row| values(&mut to, row)).map_err(fault)?;
    debug_assert_eq!(to.at, rows.len() * table.columns);
    statement.raw_execute().map(drop).map_err(clash)
}

fn task_values(to: &mut Values<'_, '_>, row: &Row<'_>) -> rusqlite::Result<()> {
    let Row { task, class, name, worker } = row;
    to.put(task.id.row_key())?;
    to.put(task.id.uuid_bytes())?;
    to.put(task.state.word().code())?;
    to.put(class.id)?;
    to.put(class.queue)?;
    to.put(name)?;
    to.put(worker)?;
    to.put(waiting::ready(task).map(int))?;
    to.put(waiting::due_ms(task))?;
    to.put(task.updated.0)?;
    to.put(task.finished.map(|f| f.at.0))?;
    to.put(task.spec.key.as_ref().map(|k| k.key))?;
    to.put(task.array.as_ref().map(|_| 1))?;
    to.put(encode_task(task))
}

fn spec_values(to: &mut Values<'_, '_>, row: &Row<'_>) -> rusqlite::Result<()> {
    to.put(row.task.id.row_key())?;
    to.put(encode_spec(&row.task.spec))?;
    to.put(input(&row.task.spec))
}
