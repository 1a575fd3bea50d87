//! Members of arrays: rows once something happened to them, computed from their array before.
//!
//! A member's record may be older than its array's cancellation: whoever decodes one applies it.

use super::entries::Finder;
use super::rows::{self, Extent, blob, fault, unreadable};
use crate::record::decode_task;
use crate::{Failure, Reason, waiting};
use domain::{Found, Task, TaskId};
use rusqlite::{Connection, Params, Row};
use std::{collections::HashMap, sync::Arc};

/// A query for members; `from` follows `members m`: an index, say.
pub(super) fn sql(extent: Extent, from: &str, rest: &str) -> String {
    match extent {
        Extent::Whole => format!(
            "SELECT m.array, m.idx, m.detail, r.result FROM members m {from}
            LEFT JOIN member_results r ON r.array = m.array AND r.idx = m.idx {rest}"
        ),
        Extent::Brief => format!("SELECT m.array, m.idx, m.detail FROM members m {from} {rest}"),
    }
}

/// The members that one query finds, with their arrays, of which each is read once.
pub(super) struct Arrays<'c> {
    conn: &'c Connection,
    extent: Extent,
    known: HashMap<i64, Option<Arc<Task>>>,
    entries: Finder<'c>,
}

impl<'c> Arrays<'c> {
    pub(super) fn new(conn: &'c Connection, extent: Extent) -> Self {
        Self { conn, extent, known: HashMap::new(), entries: Finder::new(conn) }
    }

    /// The array in this row of `tasks`; `None` if there is no such row, or it isn't an array.
    pub(super) fn array(&mut self, seq: i64) -> Result<Option<Arc<Task>>, Failure> {
        if let Some(known) = self.known.get(&seq) {
            return Ok(known.clone());
        }
        let array = rows::by_seq(self.conn, self.extent, seq)?.filter(|task| task.array.is_some()).map(Arc::new);
        self.known.insert(seq, array.clone());
        Ok(array)
    }

    /// The arrays read so far, by row key.
    pub(super) fn into_known(self) -> Vec<Task> {
        let mut arrays: Vec<Task> = self.known.into_values().flatten().map(Arc::unwrap_or_clone).collect();
        arrays.sort_by_key(|array| array.id);
        arrays
    }

    /// All members of a query made by [`sql`].
    pub(super) fn members(&mut self, sql: &str, values: impl Params) -> Result<Vec<Found>, Failure> {
        let mut statement = self.conn.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(values).map_err(fault)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            found.push(self.member(row)?);
        }
        Ok(found)
    }

    /// The member of this id, computed if it has no row; `None` if there is no such array or member.
    pub(super) fn find(&mut self, id: TaskId) -> Result<Option<Found>, Failure> {
        let (seq, Some(index)) = (id.row_key(), id.index()) else { return Ok(None) };
        let Some(array) = self.array(seq)?.filter(|array| id.array() == Some(array.id)) else { return Ok(None) };
        let Some(rank) = array.rank(id) else { return Ok(None) };
        let sql = sql(self.extent, "", "WHERE m.array = ?1 AND m.idx = ?2");
        if let Some(found) = self.members(&sql, (seq, index))?.pop() {
            return Ok(Some(found));
        }
        if !waiting::computed(&array, rank) {
            return Ok(None);
        }
        let task = array.member(index, self.entry(&array, rank)?);
        Ok(task.map(|task| Found { task, row: false, array: Some(Task::clone(&array)) }))
    }

    fn member(&mut self, row: &Row<'_>) -> Result<Found, Failure> {
        let (seq, index): (i64, u32) = (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?);
        let orphan = || Failure::Definite(Reason::Other(format!("member {index} of {seq}, which is no array")));
        let array = self.array(seq)?.ok_or_else(orphan)?;
        let id = array.id.member(index);
        let result = match self.extent {
            Extent::Whole => row.get::<_, Option<Vec<u8>>>(3).map_err(fault)?.unwrap_or_default(),
            Extent::Brief => Vec::new(),
        };
        let spec = Arc::clone(&array.spec);
        let mut task = decode_task(id, spec, blob(row, 2)?, result).map_err(|error| unreadable(id, &error))?;
        task.close(array.array.as_ref().and_then(|books| books.closed));
        if let Some(rank) = array.rank(id) {
            task.entry = self.entry(&array, rank)?;
        }
        Ok(Found { task, row: true, array: Some(Task::clone(&array)) })
    }

    /// The entry of a rank of this array.
    pub(super) fn entry(&mut self, array: &Task, rank: u64) -> Result<Option<Arc<str>>, Failure> {
        if array.spec.array.as_ref().is_none_or(|spec| !spec.entries) {
            return Ok(None);
        }
        self.entries.entry(array.id.row_key(), rank)
    }
}

/// The task or member of this id.
pub(super) fn find(conn: &Connection, id: TaskId) -> Result<Option<Found>, Failure> {
    if id.index().is_some() {
        return Arrays::new(conn, Extent::Whole).find(id);
    }
    let task = rows::by_id(conn, Extent::Whole, id)?;
    Ok(task.map(|task| Found { task, row: true, array: None }))
}

/// The array of this id.
pub(super) fn array(conn: &Connection, id: TaskId) -> Result<Option<Task>, Failure> {
    Ok(rows::by_id(conn, Extent::Brief, id)?.filter(|task| task.array.is_some()))
}

/// Indexes of an array's members that failed or timed out, without looking at any row.
pub(super) const FAILED: &str = "SELECT idx FROM members INDEXED BY members_bad
    WHERE array = ?1 AND state > 4 AND state < 8 AND state < 7 ORDER BY idx";
