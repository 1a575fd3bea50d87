//! Counts of tasks by class, by queue and of all, kept in the transactions that change them.
//!
//! Must never count rows: what changes is told (`Batch::tallies`), and added up here.

use super::classes::Class;
use super::rows::fault;
use crate::{Failure, Reason};
use domain::{Counts, StateWord};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The queue that stands for all queues; names are numbered from 1.
pub(super) const ALL: i64 = 0;

/// What a transaction changes.
#[derive(Default)]
pub(super) struct Tallies {
    /// By class and `StateWord::code`.
    classes: BTreeMap<(i64, u8), i64>,
    /// By queue, [`ALL`] included, and code.
    queues: BTreeMap<(i64, u8), i64>,
}

impl Tallies {
    /// Counts `by` more.
    pub(super) fn add(&mut self, class: Class, word: StateWord, by: i64) {
        let code = word.code();
        *self.classes.entry((class.id, code)).or_default() += by;
        for queue in [ALL, class.queue] {
            *self.queues.entry((queue, code)).or_default() += by;
        }
    }

    /// Writes what has changed, a statement a number. None of them has RETURNING: that keeps its rows in a table of its own,
    /// which is made and thrown away with a cache for its pages, and costs a small commit more than its changes do.
    pub(super) fn write(self, conn: &Connection) -> Result<(), Failure> {
        let classes = [
            "INSERT INTO counts(class, state, n) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            "UPDATE counts SET n = n + ?3 WHERE class = ?1 AND state = ?2 AND n + ?3 >= 0",
        ];
        let queues = [
            "INSERT INTO totals(queue, state, n) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            "UPDATE totals SET n = n + ?3 WHERE queue = ?1 AND state = ?2 AND n + ?3 >= 0",
        ];
        for ([more, less], numbers) in [(classes, self.classes), (queues, self.queues)] {
            for ((of, code), by) in numbers.into_iter().filter(|(_, by)| *by != 0) {
                let sql = if by > 0 { more } else { less };
                let changed = conn.prepare_cached(sql).and_then(|mut s| s.execute((of, code, by))).map_err(fault)?;
                if changed == 0 {
                    let text = format!("fewer than {} tasks in state {code} of {of}", -by);
                    return Err(Failure::Definite(Reason::Other(text)));
                }
            }
        }
        Ok(())
    }
}

/// The counts of a queue, or of [`ALL`].
pub(super) fn counts(conn: &Connection, queue: i64) -> Result<Counts, Failure> {
    let mut statement = conn.prepare_cached("SELECT state, n FROM totals WHERE queue = ?1").map_err(fault)?;
    let mut rows = statement.query([queue]).map_err(fault)?;
    let mut counts = Counts::default();
    while let Some(row) = rows.next().map_err(fault)? {
        add(&mut counts, row.get(0).map_err(fault)?, row.get(1).map_err(fault)?)?;
    }
    Ok(counts)
}

/// Adds a stored number to counts.
pub(super) fn add(counts: &mut Counts, code: u8, n: i64) -> Result<(), Failure> {
    let unknown = || Failure::Definite(Reason::Other(format!("{n} tasks counted in an unknown state {code}")));
    counts.add(StateWord::from_code(code).ok_or_else(unknown)?, super::apply::uint(n));
    Ok(())
}
