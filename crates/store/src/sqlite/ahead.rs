//! Reading ahead: windows of the backlog, of what waits for time, and of arrays.
//!
//! Must never cost more for what lies behind the window: every query walks an index from its place, and stops.

use super::apply::{int, uint};
use super::classes;
use super::members::{self, Arrays};
use super::rows::{self, Extent, fault};
use crate::Failure;
use domain::{Ahead, ClassKey, Found, Place, Range, Task, TaskId, WaitPlace, Want};
use rusqlite::Connection;
use std::sync::Arc;

/// The answer to a want.
pub(super) fn ahead(conn: &Connection, want: &Want) -> Result<Ahead, Failure> {
    match want {
        Want::Classes { after, limit } => queued_classes(conn, *after, *limit),
        Want::Backlog { class, after, limit } => backlog(conn, class, *after, *limit),
        Want::Waiting { after, limit } => waiting(conn, *after, *limit),
        Want::Members { array, from, limit } => array_members(conn, *array, *from, *limit),
    }
}

pub(super) const CLASSES: &str = "SELECT q.class, c.key FROM counts q INDEXED BY queued
    CROSS JOIN classes c ON c.id = q.class WHERE q.state = 0 AND q.n > 0 AND q.class > ?1 ORDER BY q.class LIMIT ?2";

fn queued_classes(conn: &Connection, after: u64, limit: usize) -> Result<Ahead, Failure> {
    let mut statement = conn.prepare_cached(CLASSES).map_err(fault)?;
    let mut rows = statement.query([int(after), one_more(limit)]).map_err(fault)?;
    let (mut classes, mut last, mut next) = (Vec::new(), after, None);
    while let Some(row) = rows.next().map_err(fault)? {
        if classes.len() == limit {
            next = Some(last);
            break;
        }
        let id = row.get(0).map_err(fault)?;
        classes.push(Arc::new(classes::key(id, rows::blob(row, 1)?)?));
        last = uint(id);
    }
    Ok(Ahead::Classes { classes, next })
}

/// Tasks and members lie in two tables; both have an index in the order of places. Tasks of equal place are asked for by
/// themselves: SQLite finds no row key within an index otherwise, and there may be a million of them.
pub(super) fn backlog_sql() -> [String; 3] {
    let equal = "WHERE t.class = ?1 AND t.ready = ?2 AND t.seq > ?3 ORDER BY t.seq LIMIT ?4";
    let later = "WHERE t.class = ?1 AND t.ready > ?2 ORDER BY t.ready, t.seq LIMIT ?3";
    let members = "WHERE m.class = ?1 AND m.ready IS NOT NULL AND (m.ready, m.array, m.idx) > (?2, ?3, ?4)
        ORDER BY m.ready, m.array, m.idx LIMIT ?5";
    [
        Extent::Whole.sql("INDEXED BY backlog", equal),
        Extent::Whole.sql("INDEXED BY backlog", later),
        members::sql(Extent::Whole, "INDEXED BY members_backlog", members),
    ]
}

fn backlog(conn: &Connection, class: &Arc<ClassKey>, after: Option<Place>, limit: usize) -> Result<Ahead, Failure> {
    let (mut found, most) = (Vec::new(), one_more(limit));
    if let Some(id) = classes::find(conn, class)? {
        let ready = after.map_or(-1, |place| int(place.ready_seq));
        let (seq, index) = behind(after.map(|place| place.id));
        let [equal, later, members] = backlog_sql();
        found.extend(plain(rows::whole(conn, &equal, (id, ready, seq, most))?));
        found.extend(plain(rows::whole(conn, &later, (id, ready, most))?));
        found.extend(Arrays::new(conn, Extent::Whole).members(&members, (id, ready, seq, index, most))?);
        found.sort_by_key(|found| found.task.place());
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(Ahead::Backlog { class: Arc::clone(class), after, found, more })
}

/// As [`backlog_sql`], in the order of due times.
pub(super) fn waiting_sql() -> [String; 3] {
    let equal = "WHERE t.due_ms = ?1 AND t.seq > ?2 ORDER BY t.seq LIMIT ?3";
    let later = "WHERE t.due_ms > ?1 ORDER BY t.due_ms, t.seq LIMIT ?2";
    let members = "WHERE m.due_ms IS NOT NULL AND (m.due_ms, m.array, m.idx) > (?1, ?2, ?3)
        ORDER BY m.due_ms, m.array, m.idx LIMIT ?4";
    [
        Extent::Whole.sql("INDEXED BY waiting", equal),
        Extent::Whole.sql("INDEXED BY waiting", later),
        members::sql(Extent::Whole, "INDEXED BY members_waiting", members),
    ]
}

fn waiting(conn: &Connection, after: Option<WaitPlace>, limit: usize) -> Result<Ahead, Failure> {
    let (due, most) = (after.map_or(i64::MIN, |place| place.due_ms), one_more(limit));
    let (seq, index) = behind(after.map(|place| place.id));
    let [equal, later, members] = waiting_sql();
    let mut found = plain(rows::whole(conn, &equal, (due, seq, most))?);
    found.extend(plain(rows::whole(conn, &later, (due, most))?));
    found.extend(Arrays::new(conn, Extent::Whole).members(&members, (due, seq, index, most))?);
    found.sort_by_key(|found| (found.task.due().map(|due| due.at), found.task.id));
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(Ahead::Waiting { after, found, more })
}

/// Row key and index behind which to begin: a plain id comes before all members of the same row key.
fn behind(id: Option<TaskId>) -> (i64, i64) {
    id.map_or((-1, -1), |id| (id.row_key(), id.index().map_or(-1, i64::from)))
}

fn plain(tasks: Vec<Task>) -> Vec<Found> {
    tasks.into_iter().map(|task| Found { task, row: true, array: None }).collect()
}

/// One more than asked for says whether more follow.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

pub(super) const EARLY: &str = "SELECT idx FROM members WHERE array = ?1 AND idx BETWEEN ?2 AND ?3 ORDER BY idx";

fn array_members(conn: &Connection, id: TaskId, from: u64, limit: usize) -> Result<Ahead, Failure> {
    let nothing = Ahead::Members { array: id, from, to: from, early: Vec::new(), entries: Vec::new() };
    let Some(array) = members::array(conn, id)? else { return Ok(nothing) };
    let Some(spec) = &array.spec.array else { return Ok(nothing) };
    let to = from.saturating_add(limit as u64).min(spec.ranges.len());
    let Some(Range { first, last }) = between(spec.ranges.index(from), to.checked_sub(1).map(|n| spec.ranges.index(n)))
    else {
        return Ok(nothing);
    };
    let rows: Vec<u32> = rows::values(conn, EARLY, (id.row_key(), first, last))?;
    let early = rows.into_iter().filter_map(|index| spec.ranges.rank(index)).collect();
    let mut arrays = Arrays::new(conn, Extent::Brief);
    let entries = (from..to).map_while(|rank| arrays.entry(&array, rank).transpose()).collect::<Result<_, _>>()?;
    Ok(Ahead::Members { array: id, from, to, early, entries })
}

fn between(first: Option<u32>, last: Option<Option<u32>>) -> Option<Range> {
    let (first, last) = (first?, last??);
    (first <= last).then_some(Range { first, last })
}
