//! A page of an array's members: rows, and those that are computed because nothing has happened to them yet.

use super::merge;
use super::source::{Condition, Found, Look, Looked, Walk};
use crate::sqlite::members::{self, Arrays};
use crate::sqlite::rows::{Extent, fault};
use crate::{Failure, waiting};
use domain::{Page, Ranges, StateWord, Task, TaskFilter, TaskId};
use rusqlite::Connection;
use std::collections::BTreeSet;

pub(super) fn page(conn: &Connection, id: TaskId, filter: &TaskFilter, look: Look) -> Result<Page<Task>, Failure> {
    let nothing = Page { items: Vec::new(), next: None };
    let Some(array) = members::array(conn, id)? else { return Ok(nothing) };
    let Some(condition) = Condition::of(conn, filter)? else { return Ok(nothing) };
    let mut sources = rows(conn, &condition, &array, look)?;
    if let Some((_, word)) = waiting::rest(&array)
        && condition.has(word)
        && condition.worker.is_none()
    {
        sources.extend(computed(conn, &array, look)?);
    }
    let (found, next) = merge(sources, look.limit);
    let mut arrays = Arrays::new(conn, Extent::Brief);
    let sql = members::sql(Extent::Brief, "", "WHERE m.array = ?1 AND m.idx = ?2");
    let mut items = Vec::with_capacity(found.len());
    for Found { key, row } in found {
        let index = u32::try_from(key).unwrap_or(u32::MAX);
        if row {
            items.extend(arrays.members(&sql, (id.row_key(), index))?.into_iter().map(|found| found.task));
        } else if let Some(rank) = array.rank(id.member(index)) {
            items.extend(array.member(index, arrays.entry(&array, rank)?));
        }
    }
    Ok(Page { items, next })
}

/// Indexes that together hold all rows of the states asked for, each walked; if there is none, all rows are.
fn rows(conn: &Connection, condition: &Condition, array: &Task, look: Look) -> Result<Vec<Looked>, Failure> {
    let mut walks = BTreeSet::new();
    for word in StateWord::ALL.into_iter().filter(|word| condition.has(*word)) {
        walks.insert(match word {
            StateWord::Queued => Walk::Pending(StateWord::Queued),
            StateWord::Delayed | StateWord::BackingOff => Walk::Pending(StateWord::BackingOff),
            StateWord::Dispatched | StateWord::Running | StateWord::Cancelling => Walk::InFlight,
            StateWord::Failed | StateWord::TimedOut | StateWord::Cancelled => Walk::Bad,
            StateWord::Completed => Walk::All,
        });
    }
    if walks.contains(&Walk::All) {
        walks = BTreeSet::from([Walk::All]);
    }
    walks.into_iter().map(|walk| condition.members(conn, walk, array.id.row_key(), look)).collect()
}

/// The indexes of an array's rows from one on.
pub(super) const ROWS: &str = "SELECT idx FROM members WHERE array = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx DESC";

/// Members that have not had their turn, without those that have a row all the same.
fn computed(conn: &Connection, array: &Task, look: Look) -> Result<Option<Looked>, Failure> {
    let (Some(spec), Some(books)) = (&array.spec.array, &array.array) else { return Ok(None) };
    let Some(first) = spec.ranges.index(books.next) else { return Ok(None) };
    let mut statement = conn.prepare_cached(ROWS).map_err(fault)?;
    let mut rows = statement.query((array.id.row_key(), first, look.below)).map_err(fault)?;
    let mut next_row = || rows.next().and_then(|row| row.map(|row| row.get::<_, i64>(0)).transpose()).map_err(fault);
    let mut row = next_row()?;
    let (mut found, mut last) = (Vec::new(), None);
    for (looked, rank) in (books.next..ranks_below(&spec.ranges, look.below)).rev().enumerate() {
        if found.len() > look.limit || looked == look.bounds.walk {
            return Ok(Some(Looked { found, down_to: last }));
        }
        let Some(key) = spec.ranges.index(rank).map(i64::from) else { break };
        if row == Some(key) {
            row = next_row()?;
        } else {
            found.push(Found { key, row: false });
        }
        last = Some(key);
    }
    Ok(Some(Looked { found, down_to: None }))
}

/// How many indexes are smaller than this one.
fn ranks_below(ranges: &Ranges, below: i64) -> u64 {
    let (mut from, mut to) = (0, ranges.len());
    while from < to {
        let middle = from + (to - from) / 2;
        if ranges.index(middle).is_some_and(|index| i64::from(index) < below) { from = middle + 1 } else { to = middle }
    }
    from
}
