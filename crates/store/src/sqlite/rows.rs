//! Rows back into tasks.

use crate::record::{decode_spec, decode_task};
use crate::{Failure, Reason};
use domain::{Task, TaskId};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::sync::Arc;

/// The columns that [`whole`] reads, from `tasks AS t`.
const WHOLE: &str = "t.id, t.detail, s.spec, s.input, r.result \
    FROM tasks t JOIN specs s ON s.seq = t.seq LEFT JOIN results r ON r.seq = t.seq";
/// The columns that [`brief`] reads.
pub(super) const BRIEF: &str = "t.id, t.detail, s.spec FROM tasks t JOIN specs s ON s.seq = t.seq";

/// The whole task, with payload and result.
fn whole(row: &Row<'_>) -> rusqlite::Result<Result<Task, Failure>> {
    let result = row.get::<_, Option<Vec<u8>>>(4)?.unwrap_or_default();
    Ok(task(row.get(0)?, row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?, row.get(3)?, result))
}

/// The task without payload and result.
pub(super) fn brief(row: &Row<'_>) -> rusqlite::Result<Result<Task, Failure>> {
    Ok(task(row.get(0)?, row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?, Vec::new(), Vec::new()))
}

fn task(id: [u8; 16], detail: &[u8], spec: &[u8], input: Vec<u8>, result: Vec<u8>) -> Result<Task, Failure> {
    let id = TaskId::from_bytes(id);
    decode_spec(spec, input)
        .and_then(|spec| decode_task(id, Arc::new(spec), detail, result))
        .map_err(|error| Failure::Definite(Reason::Other(format!("task {id}: {error}"))))
}

/// The task of this id.
pub(super) fn by_id(conn: &Connection, id: TaskId) -> Result<Option<Task>, Failure> {
    one(conn, "t.seq = ?1 AND t.id = ?2", (id.row_key(), id.to_bytes()))
}

/// The task submitted with this key.
pub(super) fn by_key(conn: &Connection, key: [u8; 16]) -> Result<Option<Task>, Failure> {
    one(conn, "t.idem = ?1", [key])
}

fn one(conn: &Connection, which: &str, values: impl Params) -> Result<Option<Task>, Failure> {
    let mut statement = conn.prepare_cached(&format!("SELECT {WHOLE} WHERE {which}")).map_err(fault)?;
    statement.query_row(values, whole).optional().map_err(fault)?.transpose()
}

/// Every task that isn't final, in no order.
pub(super) fn unfinished(conn: &Connection) -> Result<Vec<Task>, Failure> {
    let mut tasks = Vec::new();
    // One query an index: each condition is the index's own.
    for which in ["t.state = 0", "t.state > 0 AND t.state < 4", "t.state > 7"] {
        let mut statement = conn.prepare_cached(&format!("SELECT {WHOLE} WHERE {which}")).map_err(fault)?;
        for row in statement.query_map([], whole).map_err(fault)? {
            tasks.push(row.map_err(fault)??);
        }
    }
    Ok(tasks)
}

/// A failed read or statement: nothing was changed.
pub(super) fn fault(error: rusqlite::Error) -> Failure {
    let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    Failure::Definite(if full { Reason::Full } else { Reason::Other(error.to_string()) })
}
