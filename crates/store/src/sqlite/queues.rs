//! Queues, from the counts that are kept of them.

use super::rows::{fault, values};
use super::tallies;
use crate::{Failure, Queue};
use domain::Counts;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn queues(conn: &Connection) -> Result<Vec<Queue>, Failure> {
    let mut queues: BTreeMap<String, Counts> = BTreeMap::new();
    let sql = "SELECT n.text, q.state, q.n FROM totals q CROSS JOIN names n ON n.id = q.queue WHERE q.n > 0";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let counts = queues.entry(row.get(0).map_err(fault)?).or_default();
        tallies::add(counts, row.get(1).map_err(fault)?, row.get(2).map_err(fault)?)?;
    }
    let paused: BTreeSet<String> = values(conn, "SELECT queue FROM paused", [])?.into_iter().collect();
    for queue in &paused {
        queues.entry(queue.clone()).or_default();
    }
    let queue = |(name, counts)| Queue { paused: paused.contains(&name), name, counts };
    Ok(queues.into_iter().map(queue).collect())
}
