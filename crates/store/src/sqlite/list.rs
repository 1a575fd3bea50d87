//! Pages of tasks, newest first, by row key.

use super::names;
use super::rows::{self, BRIEF, fault};
use crate::Failure;
use domain::{Cursor, Page, PageRequest, StateWord, Task, TaskFilter, limits};
use rusqlite::Connection;

/// A page of tasks without payload, stdin and result.
pub(super) fn list(conn: &Connection, request: &PageRequest) -> Result<Page<Task>, Failure> {
    let PageRequest { filter, after, limit } = request;
    let limit = (*limit).clamp(1, limits::PAGE_TASKS);
    let Some(conditions) = conditions(conn, filter)? else { return Ok(Page { items: Vec::new(), next: None }) };
    // One more than asked says whether a page follows.
    let sql = format!("SELECT {BRIEF} WHERE t.seq < ?1{conditions} ORDER BY t.seq DESC LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql).map_err(fault)?;
    let below = after.map_or(i64::MAX, |cursor| cursor.0);
    let more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut items = Vec::with_capacity(limit + 1);
    for row in statement.query_map([below, more], rows::brief).map_err(fault)? {
        items.push(row.map_err(fault)??);
    }
    let next = if items.len() > limit {
        items.truncate(limit);
        items.last().map(|task| Cursor(task.id.row_key()))
    } else {
        None
    };
    Ok(Page { items, next })
}

/// The filter as SQL; numbers only, so there is nothing to quote. `None` if nothing can match.
fn conditions(conn: &Connection, filter: &TaskFilter) -> Result<Option<String>, Failure> {
    let TaskFilter { states, worker, name, queue } = filter;
    let mut sql = states_sql(states);
    let texts =
        [("worker", worker.as_ref().map(|w| w.as_str())), ("name", name.as_deref()), ("queue", queue.as_deref())];
    for (column, text) in texts {
        let Some(text) = text else { continue };
        match names::find(conn, text).map_err(fault)? {
            // The plus keeps SQLite from taking the backlog index for a queue's queued tasks: it isn't in row order.
            Some(id) => sql.push_str(&format!(" AND +t.{column} = {id}")),
            None => return Ok(None),
        }
    }
    Ok(Some(sql))
}

/// The states, with the condition of the partial index that holds all of them, if one does.
fn states_sql(states: &[StateWord]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let codes: Vec<u8> = states.iter().map(|word| word.code()).collect();
    let index = if codes.iter().all(|c| (1..4).contains(c)) {
        " AND t.state > 0 AND t.state < 4"
    } else if codes.iter().all(|c| (5..8).contains(c)) {
        " AND t.state > 4 AND t.state < 8"
    } else if codes.iter().all(|c| *c > 7) {
        " AND t.state > 7"
    } else {
        ""
    };
    let list = codes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    format!("{index} AND t.state IN ({list})")
}
