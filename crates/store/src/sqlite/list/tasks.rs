//! A page of tasks.

use super::merge;
use super::source::{Condition, Look, Looked, Sorted, Walk};
use crate::Failure;
use crate::sqlite::rows::{Decoder, Extent, fault};
use domain::{Page, StateWord, Task, TaskFilter};
use rusqlite::Connection;
use std::collections::BTreeSet;

pub(super) fn page(conn: &Connection, filter: &TaskFilter, look: Look) -> Result<Page<Task>, Failure> {
    let Some(condition) = Condition::of(conn, filter)? else { return Ok(Page { items: Vec::new(), next: None }) };
    let (found, next) = merge(sources(conn, &condition, look)?, look.limit);
    let sql = Extent::Brief.sql("", "WHERE t.seq = ?1");
    let mut statement = conn.prepare_cached(&sql).map_err(fault)?;
    let (mut decoder, mut items) = (Decoder::new(Extent::Brief), Vec::with_capacity(found.len()));
    for found in found {
        let mut rows = statement.query([found.key]).map_err(fault)?;
        if let Some(row) = rows.next().map_err(fault)? {
            let task = decoder.task(row)?;
            // A row names the worker that it waits for where it names the one that had it.
            if filter.worker.is_none() || filter.waiting || !task.is_untouched() {
                items.push(task);
            }
        }
    }
    Ok(Page { items, next })
}

/// Indexes that together hold all tasks of the states asked for, each walked; if there is none, all tasks are.
fn sources(conn: &Connection, condition: &Condition, look: Look) -> Result<Vec<Looked>, Failure> {
    let (mut walks, mut sorted) = (BTreeSet::new(), BTreeSet::new());
    for word in StateWord::ALL.into_iter().filter(|word| condition.has(*word)) {
        match word {
            StateWord::Queued => sorted.insert(Sorted::Backlog),
            StateWord::Delayed | StateWord::BackingOff => sorted.insert(Sorted::Waiting),
            StateWord::Dispatched | StateWord::Running | StateWord::Cancelling => walks.insert(Walk::InFlight),
            StateWord::Failed | StateWord::TimedOut | StateWord::Cancelled => walks.insert(Walk::Bad),
            StateWord::Completed => return Ok(vec![condition.tasks(conn, Walk::All, look)?]),
        };
    }
    let mut sources = Vec::new();
    for index in sorted {
        match condition.sorted(conn, index, look)? {
            Some(looked) => sources.push(looked),
            None => return Ok(vec![condition.tasks(conn, Walk::All, look)?]),
        }
    }
    for walk in walks {
        sources.push(condition.tasks(conn, walk, look)?);
    }
    Ok(sources)
}
