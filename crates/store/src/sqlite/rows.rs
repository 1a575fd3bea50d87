//! Rows back into tasks. Members' rows are in [`super::members`].

use crate::record::{Unreadable, decode_spec, decode_task};
use crate::{Failure, Reason};
use domain::{Spec, Task, TaskId};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::sync::Arc;

/// How much of a task is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// With payload and result.
    Whole,
    /// Without.
    Brief,
}

impl Extent {
    /// A query for tasks; `from` follows `tasks t`: an index, say.
    pub(super) fn sql(self, from: &str, rest: &str) -> String {
        let specs = "CROSS JOIN specs s ON s.seq = t.seq";
        match self {
            Self::Whole => format!(
                "SELECT t.id, t.detail, s.spec, s.input, r.result FROM tasks t {from} {specs}
                LEFT JOIN results r ON r.seq = t.seq {rest}"
            ),
            Self::Brief => format!("SELECT t.id, t.detail, s.spec FROM tasks t {from} {specs} {rest}"),
        }
    }
}

/// Decodes the rows of one query. Neighbours are often submitted with one spec: they share it in memory, too.
pub(super) struct Decoder {
    extent: Extent,
    last: Option<(Vec<u8>, Vec<u8>, Arc<Spec>)>,
}

impl Decoder {
    pub(super) fn new(extent: Extent) -> Self {
        Self { extent, last: None }
    }

    /// The task of a row that [`Extent::sql`] asked for.
    pub(super) fn task(&mut self, row: &Row<'_>) -> Result<Task, Failure> {
        let id = TaskId::from_uuid_bytes(row.get(0).map_err(fault)?);
        let (input, result) = match self.extent {
            Extent::Whole => (blob(row, 3)?, row.get::<_, Option<Vec<u8>>>(4).map_err(fault)?.unwrap_or_default()),
            Extent::Brief => (&[][..], Vec::new()),
        };
        let spec = self.spec(id, blob(row, 2)?, input)?;
        decode_task(id, spec, blob(row, 1)?, result).map_err(|error| unreadable(id, &error))
    }

    fn spec(&mut self, id: TaskId, bytes: &[u8], input: &[u8]) -> Result<Arc<Spec>, Failure> {
        if let Some((last, its_input, spec)) = &self.last
            && last == bytes
            && its_input == input
        {
            return Ok(Arc::clone(spec));
        }
        let spec = decode_spec(bytes, input.to_vec()).map(Arc::new).map_err(|error| unreadable(id, &error))?;
        self.last = Some((bytes.to_vec(), input.to_vec(), Arc::clone(&spec)));
        Ok(spec)
    }
}

/// All tasks of a query made by [`Extent::Whole`].
pub(super) fn whole(conn: &Connection, sql: &str, values: impl Params) -> Result<Vec<Task>, Failure> {
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query(values).map_err(fault)?;
    let (mut decoder, mut tasks) = (Decoder::new(Extent::Whole), Vec::new());
    while let Some(row) = rows.next().map_err(fault)? {
        tasks.push(decoder.task(row)?);
    }
    Ok(tasks)
}

/// The task in this row.
pub(super) fn by_seq(conn: &Connection, extent: Extent, seq: i64) -> Result<Option<Task>, Failure> {
    one(conn, extent, "WHERE t.seq = ?1", [seq])
}

/// The task of this id, which is no member's.
pub(super) fn by_id(conn: &Connection, extent: Extent, id: TaskId) -> Result<Option<Task>, Failure> {
    if id.index().is_some() {
        return Ok(None);
    }
    one(conn, extent, "WHERE t.seq = ?1 AND t.id = ?2", (id.row_key(), id.uuid_bytes()))
}

/// The task submitted with this key.
pub(super) fn by_key(conn: &Connection, key: [u8; 16]) -> Result<Option<Task>, Failure> {
    one(conn, Extent::Whole, "WHERE t.idem = ?1", [key])
}

fn one(conn: &Connection, extent: Extent, rest: &str, values: impl Params) -> Result<Option<Task>, Failure> {
    let mut statement = conn.prepare_cached(&extent.sql("", rest)).map_err(fault)?;
    let mut rows = statement.query(values).map_err(fault)?;
    rows.next().map_err(fault)?.map(|row| Decoder::new(extent).task(row)).transpose()
}

/// A single value.
pub(super) fn value<T: rusqlite::types::FromSql>(
    conn: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<Option<T>, Failure> {
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    statement.query_row(values, |row| row.get(0)).optional().map_err(fault)
}

/// The single values of all rows.
pub(super) fn values<T: rusqlite::types::FromSql>(
    conn: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<Vec<T>, Failure> {
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    statement.query_map(values, |row| row.get(0)).and_then(Iterator::collect).map_err(fault)
}

/// Bytes of a column, without copying them.
pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], Failure> {
    row.get_ref(column).map_err(fault)?.as_blob().map_err(|error| fault(error.into()))
}

/// A record that this build can't read.
pub(super) fn unreadable(id: TaskId, error: &Unreadable) -> Failure {
    Failure::Definite(Reason::Other(format!("task {id}: {error}")))
}

/// A failed read or statement: nothing was changed.
pub(super) fn fault(error: rusqlite::Error) -> Failure {
    let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    Failure::Definite(if full { Reason::Full } else { Reason::Other(error.to_string()) })
}
