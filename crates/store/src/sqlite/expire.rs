//! Retention: deletes what has been final for long enough, a bounded step at a time, oldest first.
//!
//! Must never leave a count wrong: rows and the numbers that count them go in one transaction.

use super::apply::int;
use super::classes::Class;
use super::rows::{self, Extent, fault, value};
use super::tallies::Tallies;
use crate::{Expired, Expiry, Failure, Reason, waiting};
use domain::{StateWord, TaskId, UnixMillis};
use rusqlite::{Connection, Row};
use std::time::Instant;

/// Bits of an id that hold the time.
const TIME_BITS: u32 = 48;
/// A block of entries is deleted at the cost of so many rows: it lies on as many pages.
const BLOCK_ROWS: usize = 16;
/// Rows between two looks at the clock: about a tenth of a millisecond.
const SLICE_ROWS: usize = 32;

/// One step, within a transaction that the caller began and whose epoch he checks.
pub(super) fn expire(conn: &Connection, expiry: &Expiry) -> Result<Expired, Failure> {
    let start = Instant::now();
    let (tallies, run, left) = (Tallies::default(), None, expiry.limit.max(1));
    let mut step = Step { conn, finished_before: expiry.before, run, tallies, expired: Expired::default(), left };
    let mut next = Some(expiry.after);
    while let Some(after) = next
        && step.left > 0
    {
        next = step.slice(after)?;
        if start.elapsed() >= expiry.time {
            break;
        }
    }
    let Step { tallies, expired, .. } = step;
    tallies.write(conn)?;
    Ok(Expired { next, ..expired })
}

pub(super) struct Candidate {
    pub seq: i64,
    word: StateWord,
    class: Class,
    finished: Option<i64>,
    is_array: bool,
}

pub(super) const CANDIDATES: &str = "SELECT seq, state, class, queue, finished_ms, is_array IS NOT NULL FROM tasks
    WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3";

impl Candidate {
    /// Whether it is old enough.
    pub fn goes(&self, before: UnixMillis) -> bool {
        self.word.is_final() && self.finished.is_some_and(|at| at < before.0)
    }
}

/// No task is older than its id: the row key behind all that may have finished before.
pub(super) fn end(before: UnixMillis) -> i64 {
    let ms = u64::try_from(before.0).unwrap_or(0).min((1 << TIME_BITS) - 1);
    TaskId::from_parts(ms, 0, 0, 0).row_key()
}

pub(super) fn candidates(conn: &Connection, after: i64, end: i64, limit: usize) -> Result<Vec<Candidate>, Failure> {
    let mut statement = conn.prepare_cached(CANDIDATES).map_err(fault)?;
    let mut rows = statement.query((after, end, int(limit as u64))).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(Candidate {
            seq: row.get(0).map_err(fault)?,
            word: word(row, 1)?,
            class: Class { id: row.get(2).map_err(fault)?, queue: row.get(3).map_err(fault)? },
            finished: row.get(4).map_err(fault)?,
            is_array: row.get(5).map_err(fault)?,
        });
    }
    Ok(found)
}

fn word(row: &Row<'_>, column: usize) -> Result<StateWord, Failure> {
    let code = row.get(column).map_err(fault)?;
    StateWord::from_code(code).ok_or_else(|| Failure::Definite(Reason::Other(format!("an unknown state {code}"))))
}

struct Step<'c> {
    conn: &'c Connection,
    finished_before: UnixMillis,
    /// First and last row key of neighbours that all go: they are deleted by one statement a table.
    run: Option<(i64, i64)>,
    tallies: Tallies,
    expired: Expired,
    /// So many rows may still be looked at.
    left: usize,
}

impl Step<'_> {
    /// Looks at the rows behind this place, as many as are deleted between two looks at the clock. Where it goes on; `None`:
    /// nothing behind this is old enough.
    fn slice(&mut self, after: i64) -> Result<Option<i64>, Failure> {
        let limit = self.left.min(SLICE_ROWS);
        let candidates = candidates(self.conn, after, end(self.finished_before), limit)?;
        let whole = candidates.len() < limit;
        let mut next = candidates.last().map(|last| last.seq).filter(|_| !whole);
        for candidate in candidates {
            // What is left undone begins here.
            if self.left == 0 || !self.look(&candidate)? {
                next = Some(candidate.seq - 1);
                break;
            }
        }
        self.flush()?;
        Ok(next)
    }

    /// Takes the next row. `false`: it must go, but not all that belongs to it is gone yet.
    fn look(&mut self, candidate: &Candidate) -> Result<bool, Failure> {
        let Candidate { seq, word, class, finished: _, is_array } = *candidate;
        self.left -= 1;
        if !candidate.goes(self.finished_before) {
            self.flush()?;
            return Ok(true);
        }
        if is_array {
            if !self.members(seq, class)? || !self.entries(seq)? {
                return Ok(false);
            }
            self.rest(seq, class)?;
        } else {
            self.count(class, word, 1);
        }
        self.run = Some(self.run.map_or((seq, seq), |(first, _)| (first, seq)));
        Ok(true)
    }

    fn count(&mut self, class: Class, word: StateWord, n: u64) {
        self.tallies.add(class, word, -int(n));
        self.expired.tasks += n;
        self.expired.counts.add(word, n);
    }

    /// Deletes the run.
    fn flush(&mut self) -> Result<(), Failure> {
        let Some(run) = self.run.take() else { return Ok(()) };
        for sql in RUN {
            self.delete(sql, [run.0, run.1])?;
        }
        Ok(())
    }

    /// Deletes a slice of an array's members; whether none is left.
    fn members(&mut self, seq: i64, class: Class) -> Result<bool, Failure> {
        // One row at least, or a step whose last row is an array would never come further.
        let slice = self.left.clamp(1, SLICE_ROWS);
        let conn = self.conn;
        let mut statement = conn.prepare_cached(SLICE).map_err(fault)?;
        let mut rows = statement.query((seq, int(slice as u64))).map_err(fault)?;
        let (mut last, mut n) = (-1, 0);
        while let Some(row) = rows.next().map_err(fault)? {
            last = row.get(0).map_err(fault)?;
            n += 1;
            self.count(class, word(row, 1)?, 1);
        }
        drop(rows);
        self.left -= n.min(self.left);
        if n > 0 {
            for sql in MEMBERS {
                self.delete(sql, [seq, last])?;
            }
        }
        Ok(n < slice || value::<i64>(conn, "SELECT 1 FROM members WHERE array = ?1 LIMIT 1", [seq])?.is_none())
    }

    /// Deletes some of an array's entries; whether none is left.
    fn entries(&mut self, seq: i64) -> Result<bool, Failure> {
        let blocks = (self.left.min(SLICE_ROWS) / BLOCK_ROWS).max(1);
        let last = value(self.conn, BLOCKS, [seq, int(blocks as u64)])?;
        let Some(last) = last.flatten() else { return Ok(true) };
        let n: usize = self.delete(ENTRIES, [seq, last])?;
        self.left -= (n * BLOCK_ROWS).min(self.left);
        Ok(value::<i64>(self.conn, "SELECT 1 FROM entries WHERE array = ?1 LIMIT 1", [seq])?.is_none())
    }

    /// Members without rows go with their array.
    fn rest(&mut self, seq: i64, class: Class) -> Result<(), Failure> {
        let array = rows::by_seq(self.conn, Extent::Brief, seq)?;
        if let Some((n, word)) = array.as_ref().and_then(waiting::rest) {
            self.count(class, word, n);
        }
        Ok(())
    }

    fn delete(&self, sql: &str, values: [i64; 2]) -> Result<usize, Failure> {
        self.conn.prepare_cached(sql).and_then(|mut s| s.execute(values)).map_err(fault)
    }
}

const SLICE: &str = "SELECT idx, state FROM members WHERE array = ?1 ORDER BY idx LIMIT ?2";
const BLOCKS: &str = "SELECT max(first) FROM (SELECT first FROM entries WHERE array = ?1 ORDER BY first LIMIT ?2)";
const ENTRIES: &str = "DELETE FROM entries WHERE array = ?1 AND first <= ?2";
/// An array and its members up to an index.
const MEMBERS: [&str; 4] = [
    "DELETE FROM members WHERE array = ?1 AND idx <= ?2",
    "DELETE FROM member_results WHERE array = ?1 AND idx <= ?2",
    "DELETE FROM progress WHERE seq = ?1 AND member > 0 AND member <= ?2 + 1",
    "DELETE FROM tails WHERE seq = ?1 AND member > 0 AND member <= ?2 + 1",
];
/// From one row key to another.
const RUN: [&str; 6] = [
    "DELETE FROM tasks WHERE seq BETWEEN ?1 AND ?2",
    "DELETE FROM arrays WHERE seq BETWEEN ?1 AND ?2",
    "DELETE FROM specs WHERE seq BETWEEN ?1 AND ?2",
    "DELETE FROM results WHERE seq BETWEEN ?1 AND ?2",
    "DELETE FROM progress WHERE seq BETWEEN ?1 AND ?2",
    "DELETE FROM tails WHERE seq BETWEEN ?1 AND ?2",
];

/// Every statement of a step, for the test that none of them walks a table.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [CANDIDATES, SLICE, BLOCKS, ENTRIES].into_iter().chain(MEMBERS).chain(RUN)
}
