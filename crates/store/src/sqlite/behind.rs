//! How many queued tasks come before one.
//!
//! Must never count further than asked: a million before it cost no more than the limit.

use super::apply::{int, uint};
use super::rows::{self, fault, value};
use super::{classes, put};
use crate::Failure;
use domain::{ClassKey, Task};
use rusqlite::Connection;

/// Counts up to `limit`.
pub(super) fn behind(conn: &Connection, task: &Task, limit: u64) -> Result<u64, Failure> {
    let Some(class) = classes::find(conn, &ClassKey::of(&task.spec))? else { return Ok(0) };
    let mut left = Left { conn, class, task, limit, arrays: 0 };
    left.limit -= left.in_arrays()?.min(left.limit);
    left.limit -= left.tasks()?.min(left.limit);
    left.limit -= left.members()?.min(left.limit);
    Ok(limit - left.limit)
}

/// What is still to be counted.
struct Left<'a> {
    conn: &'a Connection,
    class: i64,
    task: &'a Task,
    limit: u64,
    /// Arrays before it, which stand among the tasks.
    arrays: u64,
}

pub(super) const ARRAYS: &str = "SELECT seq, ready, ends, early FROM arrays INDEXED BY arrays_backlog
    WHERE class = ?1 AND ready IS NOT NULL AND (ready, seq) < (?2, ?3) ORDER BY ready, seq";
pub(super) const TASKS: &str = "SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY backlog
    WHERE class = ?1 AND ready IS NOT NULL AND (ready, seq) < (?2, ?3) LIMIT ?4)";
pub(super) const MEMBERS: &str = "SELECT count(*) FROM (SELECT 1 FROM members INDEXED BY members_backlog
    WHERE class = ?1 AND ready IS NOT NULL AND (ready, array, idx) < (?2, ?3, ?4) LIMIT ?5)";
/// Rows before their turn are cancelled ones.
pub(super) const EARLY: &str = "SELECT count(*) FROM members INDEXED BY members_bad
    WHERE array = ?1 AND idx >= ?2 AND idx < ?3 AND state > 4 AND state < 8";

impl Left<'_> {
    /// Members that have no row.
    fn in_arrays(&mut self) -> Result<u64, Failure> {
        let (place, seq) = (int(self.task.ready_seq), self.task.id.row_key());
        let mut statement = self.conn.prepare_cached(ARRAYS).map_err(fault)?;
        let mut rows = statement.query([self.class, place, seq]).map_err(fault)?;
        let mut n = 0;
        while n < self.limit
            && let Some(row) = rows.next().map_err(fault)?
        {
            let get = |column| row.get::<_, i64>(column).map_err(fault);
            let (array, ready, ends, early) = (get(0)?, get(1)?, get(2)?, get(3)?);
            // At the same place the one with the smaller id comes first; an array isn't before its own next member.
            let until = ends.min(if array < seq { place.saturating_add(1) } else { place });
            let places = uint(until.saturating_sub(ready));
            n += match (until == ends, uint(early)) {
                (_, 0) => places,
                (true, early) => places.saturating_sub(early),
                (false, early) if places.saturating_sub(early) >= self.limit => self.limit,
                (false, _) => places.saturating_sub(self.early(array, places)?),
            };
            self.arrays += 1;
        }
        Ok(n)
    }

    /// How many of the next `places` members of an array have rows.
    fn early(&self, array: i64, places: u64) -> Result<u64, Failure> {
        let Some(task) = rows::by_seq(self.conn, rows::Extent::Brief, array)? else { return Ok(0) };
        let (Some(spec), Some(books)) = (&task.spec.array, &task.array) else { return Ok(0) };
        let index = |rank| spec.ranges.index(rank).map_or(i64::MAX, i64::from);
        let range = (array, index(books.next), index(books.next.saturating_add(places)));
        Ok(uint(value(self.conn, EARLY, range)?.unwrap_or(0)))
    }

    fn tasks(&self) -> Result<u64, Failure> {
        let (place, seq) = (int(self.task.ready_seq), self.task.id.row_key());
        let limit = self.limit.saturating_add(self.arrays);
        let n = value(self.conn, TASKS, [self.class, place, seq, int(limit)])?;
        Ok(uint(n.unwrap_or(0)).saturating_sub(self.arrays))
    }

    fn members(&self) -> Result<u64, Failure> {
        let (place, seq) = (int(self.task.ready_seq), self.task.id.row_key());
        // `put::member` is one more than the index.
        let values = [self.class, place, seq, put::member(self.task.id) - 1, int(self.limit)];
        Ok(uint(value(self.conn, MEMBERS, values)?.unwrap_or(0)))
    }
}
