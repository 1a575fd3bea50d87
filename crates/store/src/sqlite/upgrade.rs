//! Steps between versions of the schema that SQL alone can't take.

use super::classes::Classes;
use super::names::Names;
use super::rows::{fault, unreadable};
use super::schema::V2_INDEXES;
use super::tallies::Tallies;
use crate::record::{decode_spec, decode_task};
use crate::{Failure, waiting};
use domain::{ClassKey, Task, TaskId};
use rusqlite::{Connection, Row, params, types::ToSqlOutput};
use std::sync::Arc;

/// Tasks get their classes, which follow from their specs, their places and due times; counts are made anew.
pub(super) fn to_v2(conn: &Connection) -> Result<(), Failure> {
    let (mut names, mut classes, mut tallies) = (Names::default(), Classes::default(), Tallies::default());
    let sql = "SELECT t.id, t.detail, s.spec, t.state, t.queue, t.name, t.worker, t.updated_ms, t.finished_ms, t.idem
        FROM tasks_v1 t CROSS JOIN specs s ON s.seq = t.seq ORDER BY t.seq";
    let mut statement = conn.prepare(sql).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let task = task(row)?;
        let class = classes.intern(conn, &mut names, &Arc::new(ClassKey::of(&task.spec)))?;
        tallies.add(class, task.state.word(), 1);
        insert(conn, row, &task, class.id).map_err(fault)?;
    }
    drop(rows);
    drop(statement);
    tallies.write(conn)?;
    conn.execute_batch("DROP TABLE tasks_v1").map_err(fault)?;
    conn.execute_batch(V2_INDEXES).map_err(fault)
}

fn task(row: &Row<'_>) -> Result<Task, Failure> {
    let id = TaskId::from_uuid_bytes(row.get(0).map_err(fault)?);
    let blob = |column| row.get_ref(column).map_err(fault)?.as_blob().map_err(|error| fault(error.into()));
    let spec = decode_spec(blob(2)?, Vec::new()).map_err(|error| unreadable(id, &error))?;
    decode_task(id, Arc::new(spec), blob(1)?, Vec::new()).map_err(|error| unreadable(id, &error))
}

fn insert(conn: &Connection, row: &Row<'_>, task: &Task, class: i64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO tasks(seq, id, state, class, queue, name, worker, ready, due_ms, updated_ms, finished_ms, idem,
        detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let column = |n| row.get_ref(n).map(ToSqlOutput::Borrowed);
    let values = params![
        task.id.row_key(),
        column(0)?,
        column(3)?,
        class,
        column(4)?,
        column(5)?,
        column(6)?,
        waiting::ready(task).map(super::apply::int),
        waiting::due_ms(task),
        column(7)?,
        column(8)?,
        column(9)?,
        column(1)?,
    ];
    conn.prepare_cached(sql)?.execute(values).map(drop)
}
