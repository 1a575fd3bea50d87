//! Pages of tasks, newest first, by row key.

use super::names;
use super::rows::{self, BRIEF, fault};
use crate::Failure;
use domain::{Cursor, Page, PageRequest, StateWord, Task, TaskFilter, limits};
use rusqlite::Connection;

/// With more queued tasks than this a walk over all tasks finds a page of them sooner than sorting them would.
const SORTED: i64 = 50_000;

/// A page of tasks without payload, stdin and result.
pub(super) fn list(conn: &Connection, request: &PageRequest) -> Result<Page<Task>, Failure> {
    let PageRequest { filter, after, limit } = request;
    let limit = (*limit).clamp(1, limits::PAGE_TASKS);
    let Some(names) = names_sql(conn, filter)? else { return Ok(Page { items: Vec::new(), next: None }) };
    // One more than asked says whether a page follows.
    let sql = match indexes(conn, &filter.states)? {
        Some(indexes) => {
            let part = |index: &&str| {
                let states = states_sql(&filter.states);
                format!(
                    "SELECT * FROM (SELECT t.seq FROM tasks t {index} AND t.seq < ?1{states}{names} \
                     ORDER BY t.seq DESC LIMIT ?2)"
                )
            };
            let parts = indexes.iter().map(part).collect::<Vec<_>>().join(" UNION ALL ");
            format!("SELECT {BRIEF} WHERE t.seq IN ({parts}) ORDER BY t.seq DESC LIMIT ?2")
        }
        None => {
            let states = states_sql(&filter.states);
            format!("SELECT {BRIEF} WHERE t.seq < ?1{states}{names} ORDER BY t.seq DESC LIMIT ?2")
        }
    };
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

/// The partial indexes that hold all tasks of these states, each with its condition; `None`: all tasks must be walked.
fn indexes(conn: &Connection, states: &[StateWord]) -> Result<Option<Vec<&'static str>>, Failure> {
    let mut indexes = Vec::new();
    for word in states {
        indexes.push(match word {
            StateWord::Queued => "INDEXED BY backlog WHERE t.state = 0",
            StateWord::Dispatched | StateWord::Running | StateWord::Cancelling => {
                "INDEXED BY inflight WHERE t.state > 0 AND t.state < 4"
            }
            StateWord::Completed => return Ok(None),
            StateWord::Failed | StateWord::TimedOut | StateWord::Cancelled => {
                "INDEXED BY bad WHERE t.state > 4 AND t.state < 8"
            }
            StateWord::BackingOff => "INDEXED BY backing_off WHERE t.state > 7",
        });
    }
    indexes.sort_unstable();
    indexes.dedup();
    if states.contains(&StateWord::Queued) {
        let sql = "SELECT n FROM counts WHERE state = 0";
        let queued: i64 =
            conn.prepare_cached(sql).and_then(|mut s| s.query_row([], |row| row.get(0))).map_err(fault)?;
        if queued > SORTED {
            return Ok(None);
        }
    }
    Ok((!indexes.is_empty()).then_some(indexes))
}

/// Name, queue and worker as conditions; numbers only, so there is nothing to quote. `None` if nothing can match.
fn names_sql(conn: &Connection, filter: &TaskFilter) -> Result<Option<String>, Failure> {
    let TaskFilter { states: _, worker, name, queue } = filter;
    let mut sql = String::new();
    let worker = worker.as_ref().map(|worker| worker.as_str());
    for (column, text) in [("worker", worker), ("name", name.as_deref()), ("queue", queue.as_deref())] {
        let Some(text) = text else { continue };
        match names::find(conn, text).map_err(fault)? {
            Some(id) => sql.push_str(&format!(" AND t.{column} = {id}")),
            None => return Ok(None),
        }
    }
    Ok(Some(sql))
}

fn states_sql(states: &[StateWord]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let codes: Vec<String> = states.iter().map(|word| word.code().to_string()).collect();
    format!(" AND t.state IN ({})", codes.join(", "))
}
