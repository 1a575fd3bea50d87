//! Ids by what people type: `last`, a prefix or suffix, and a member's index behind any of them.

use super::apply::int;
use super::rows::{self, Extent, fault, value};
use crate::{Failure, spelling, spelling::Spelling};
use domain::TaskId;
use rusqlite::Connection;

/// Newest first, at most `limit`.
pub(super) fn named(conn: &Connection, text: &str, limit: usize) -> Result<Vec<TaskId>, Failure> {
    let Some(Spelling { task, index }) = Spelling::parse(text) else { return Ok(Vec::new()) };
    if task == "last" {
        let last: Option<[u8; 16]> = value(conn, "SELECT id FROM tasks ORDER BY seq DESC LIMIT 1", [])?;
        let Some(last) = last.map(TaskId::from_uuid_bytes) else { return Ok(Vec::new()) };
        return Ok(with_index(conn, last, index)?.into_iter().take(limit).collect());
    }
    let Some(part) = spelling::abbreviation(task) else { return Ok(Vec::new()) };
    let (keys, scan) = (spelling::keys_of_prefix(&part), int(spelling::SUFFIX_SCAN as u64));
    // Nearly all tasks of the range begin with the prefix, so that its walk ends soon; arrays may not have the index.
    let most = if index.is_some() { scan } else { i64::MAX };
    let begins = |id| spelling::begins(id, &part);
    let mut found = ids(conn, [*keys.start(), *keys.end(), most], limit, index, begins)?;
    for id in ids(conn, [0, i64::MAX, scan], limit, index, |id| spelling::ends(id, &part))? {
        if found.len() < limit && !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

pub(super) const TASKS: &str = "SELECT id FROM tasks WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq DESC LIMIT ?3";
pub(super) const ARRAYS: &str = "SELECT t.id FROM arrays a CROSS JOIN tasks t ON t.seq = a.seq
    WHERE a.seq BETWEEN ?1 AND ?2 ORDER BY a.seq DESC LIMIT ?3";

/// Looks at so many tasks (the third number) with row keys in the range, gives at most `limit` that match.
fn ids(
    conn: &Connection,
    range: [i64; 3],
    limit: usize,
    index: Option<u32>,
    matches: impl Fn(TaskId) -> bool,
) -> Result<Vec<TaskId>, Failure> {
    let mut statement = conn.prepare_cached(if index.is_some() { ARRAYS } else { TASKS }).map_err(fault)?;
    let mut rows = statement.query(range).map_err(fault)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next().map_err(fault)?
    {
        let id = TaskId::from_uuid_bytes(row.get(0).map_err(fault)?);
        if matches(id) {
            found.extend(with_index(conn, id, index)?);
        }
    }
    Ok(found)
}

/// The task itself, or its member if it has one of this index.
fn with_index(conn: &Connection, id: TaskId, index: Option<u32>) -> Result<Option<TaskId>, Failure> {
    let Some(index) = index else { return Ok(Some(id)) };
    let task = rows::by_id(conn, Extent::Brief, id)?;
    Ok(task.and_then(|task| task.rank(id.member(index))).map(|_| id.member(index)))
}
