//! Pages of tasks, newest first, or of an array's members, highest index first.
//!
//! Must never cost more for what is rare: a page looks at a bounded number of rows, and says where the next one goes on.

mod members;
mod source;
mod tasks;

#[cfg(test)]
pub(super) use source::statements;

use crate::Failure;
use domain::{Cursor, Page, PageRequest, Task, limits};
use rusqlite::Connection;
use source::{Found, Looked};

/// How much a page may cost. Measured on ten million rows, at p95: 10,000 neighbours 9 ms; as many that were found through
/// an index, each on a page of its own, 45 ms and more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    /// Neighbours looked at where a table is walked.
    pub walk: usize,
    /// Rows looked at that an index leads to.
    pub indexed: usize,
    /// Waiting tasks that are sorted; if there are more, all tasks are walked instead.
    pub sorted: usize,
}

/// What readers use.
pub(super) const BOUNDS: Bounds = Bounds { walk: 10_000, indexed: 400, sorted: 10_000 };

/// A page without payload, stdin and result.
pub(super) fn list(conn: &Connection, request: &PageRequest, bounds: Bounds) -> Result<Page<Task>, Failure> {
    let PageRequest { filter, after, limit } = request;
    let look = source::Look {
        below: after.map_or(i64::MAX, |cursor| cursor.0),
        limit: (*limit).clamp(1, limits::PAGE_TASKS),
        bounds,
    };
    match filter.array {
        Some(array) => members::page(conn, array, filter, look),
        None => tasks::page(conn, filter, look),
    }
}

/// What several sources found, as one page's keys, and where the next page begins.
fn merge(sources: Vec<Looked>, limit: usize) -> (Vec<Found>, Option<Cursor>) {
    // Below the highest place at which one of them stopped it is not known what there is.
    let floor = sources.iter().filter_map(|looked| looked.down_to).max();
    let mut found: Vec<Found> = sources.into_iter().flat_map(|looked| looked.found).collect();
    found.retain(|found| floor.is_none_or(|floor| found.key >= floor));
    found.sort_unstable_by_key(|found| std::cmp::Reverse(found.key));
    found.dedup_by_key(|found| found.key);
    if found.len() > limit {
        found.truncate(limit);
        return (found.clone(), found.last().map(|last| Cursor(last.key)));
    }
    (found, floor.map(Cursor))
}
