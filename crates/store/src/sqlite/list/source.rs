//! Where the rows of a page come from: indexes and tables that are walked downwards, and few waiting rows, sorted.

use super::Bounds;
use crate::Failure;
use crate::sqlite::names;
use crate::sqlite::rows::{fault, value, values};
use domain::{StateWord, TaskFilter};
use rusqlite::{Connection, params};

/// What is asked of each source.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Keys below this one.
    pub below: i64,
    /// The page's length.
    pub limit: usize,
    pub bounds: Bounds,
}

/// A row of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Row key of a task, index of a member.
    pub key: i64,
    /// Not a member that is computed.
    pub row: bool,
}

/// What a source has found, keys descending.
pub(super) struct Looked {
    pub found: Vec<Found>,
    /// It has looked at all keys down to this one, and stopped; `None`: it has seen all.
    pub down_to: Option<i64>,
}

/// A filter as SQL takes it: `NULL` matches all.
pub(super) struct Condition {
    name: Option<i64>,
    queue: Option<i64>,
    pub worker: Option<i64>,
    /// A bit a state's code.
    states: i64,
}

/// Numbers 3 to 6 of a statement's values are those of a [`Condition`].
const TASK: &str = "(?6 >> t.state & 1) AND (?3 IS NULL OR t.name = ?3) AND (?4 IS NULL OR t.queue = ?4)
    AND (?5 IS NULL OR t.worker IS ?5)";
/// Names and queues of members are their array's.
const MEMBER: &str = "(?6 >> m.state & 1) AND (?5 IS NULL OR m.worker IS ?5)";

/// Rows in the order of their keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Walk {
    All,
    InFlight,
    Bad,
    /// Of members only: their order in the backlog isn't that of their indexes.
    Pending(StateWord),
}

impl Walk {
    /// How many rows may be looked at.
    fn rows(self, bounds: Bounds) -> usize {
        match self {
            Self::All => bounds.walk,
            Self::InFlight | Self::Bad | Self::Pending(_) => bounds.indexed,
        }
    }
}

impl Condition {
    /// `None` if nothing can match: a name that no row ever had.
    pub(super) fn of(conn: &Connection, filter: &TaskFilter) -> Result<Option<Self>, Failure> {
        // `waiting` is for whoever has the whole rows.
        let TaskFilter { states, worker, waiting: _, name, queue, array } = filter;
        let mut unknown = false;
        let mut number = |text: Option<&str>| -> Result<Option<i64>, Failure> {
            let Some(text) = text else { return Ok(None) };
            let id = names::find(conn, text).map_err(fault)?;
            unknown |= id.is_none();
            Ok(id)
        };
        let worker = number(worker.as_ref().map(|worker| worker.as_str()))?;
        let (name, queue) = match array {
            Some(_) => (None, None),
            None => (number(name.as_deref())?, number(queue.as_deref())?),
        };
        let states = if states.is_empty() { &StateWord::ALL[..] } else { states };
        let states = states.iter().fold(0, |mask, word| mask | bit(*word));
        Ok((!unknown).then_some(Self { name, queue, worker, states }))
    }

    /// Whether tasks in this state match, so far as the state decides.
    pub(super) fn has(&self, word: StateWord) -> bool {
        self.states & bit(word) != 0
    }

    /// Walks the tasks of an index, or all.
    pub(super) fn tasks(&self, conn: &Connection, walk: Walk, look: Look) -> Result<Looked, Failure> {
        self.walk(conn, &tasks_sql(walk), 0, look, walk.rows(look.bounds))
    }

    /// Walks an array's members.
    pub(super) fn members(&self, conn: &Connection, walk: Walk, array: i64, look: Look) -> Result<Looked, Failure> {
        self.walk(conn, &members_sql(walk), array, look, walk.rows(look.bounds))
    }

    fn walk(&self, conn: &Connection, sql: &str, array: i64, look: Look, rows_most: usize) -> Result<Looked, Failure> {
        let Look { below, limit, bounds: _ } = look;
        let most = i64::try_from(rows_most).unwrap_or(i64::MAX);
        let mut statement = conn.prepare_cached(sql).map_err(fault)?;
        let mut rows = match array {
            0 => statement.query(params![below, most, self.name, self.queue, self.worker, self.states]),
            _ => statement.query(params![below, most, self.name, self.queue, self.worker, self.states, array]),
        }
        .map_err(fault)?;
        let (mut found, mut looked, mut last) = (Vec::new(), 0, None);
        while let Some(row) = rows.next().map_err(fault)? {
            let key = row.get(0).map_err(fault)?;
            if row.get(1).map_err(fault)? {
                found.push(Found { key, row: true });
            }
            (looked, last) = (looked + 1, Some(key));
            if found.len() > limit {
                return Ok(Looked { found, down_to: last });
            }
        }
        Ok(Looked { found, down_to: last.filter(|_| looked == rows_most) })
    }

    /// The tasks of an index whose order is another, if they are few enough to be sorted.
    pub(super) fn sorted(&self, conn: &Connection, index: Sorted, look: Look) -> Result<Option<Looked>, Failure> {
        let Look { below, limit, bounds: Bounds { walk: _, indexed, sorted } } = look;
        let most = i64::try_from(sorted).unwrap_or(i64::MAX);
        let mut keys: Vec<i64> = values(conn, index.sql(), [most.saturating_add(1)])?;
        if keys.len() > sorted {
            return Ok(None);
        }
        keys.retain(|key| *key < below);
        keys.sort_unstable_by_key(|key| std::cmp::Reverse(*key));
        let mut found = Vec::new();
        for (looked, key) in keys.into_iter().enumerate() {
            if found.len() > limit || looked == indexed {
                return Ok(Some(Looked { found, down_to: Some(key.saturating_add(1)) }));
            }
            let matches: Option<bool> =
                value(conn, &one_sql(), params![key, None::<i64>, self.name, self.queue, self.worker, self.states])?;
            if matches == Some(true) {
                found.push(Found { key, row: true });
            }
        }
        Ok(Some(Looked { found, down_to: None }))
    }
}

/// Tasks that wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Sorted {
    Backlog,
    Waiting,
}

impl Sorted {
    fn sql(self) -> &'static str {
        match self {
            Self::Backlog => "SELECT seq FROM tasks INDEXED BY backlog WHERE ready IS NOT NULL LIMIT ?1",
            Self::Waiting => "SELECT seq FROM tasks INDEXED BY waiting WHERE due_ms IS NOT NULL LIMIT ?1",
        }
    }
}

fn bit(word: StateWord) -> i64 {
    1 << word.code()
}

fn one_sql() -> String {
    format!("SELECT {TASK} FROM tasks t WHERE t.seq = ?1")
}

fn tasks_sql(walk: Walk) -> String {
    let index = match walk {
        Walk::All | Walk::Pending(_) => "WHERE",
        Walk::InFlight => "INDEXED BY inflight WHERE t.state > 0 AND t.state < 4 AND",
        Walk::Bad => "INDEXED BY bad WHERE t.state > 4 AND t.state < 8 AND",
    };
    format!("SELECT t.seq, {TASK} FROM tasks t {index} t.seq < ?1 ORDER BY t.seq DESC LIMIT ?2")
}

fn members_sql(walk: Walk) -> String {
    let index = match walk {
        Walk::All => "WHERE",
        Walk::InFlight => "INDEXED BY members_inflight WHERE m.state > 0 AND m.state < 4 AND",
        Walk::Bad => "INDEXED BY members_bad WHERE m.state > 4 AND m.state < 8 AND",
        // Each of the index's two conditions by itself: SQLite uses it for neither otherwise.
        Walk::Pending(StateWord::Queued) => "INDEXED BY members_pending WHERE m.state = 0 AND",
        Walk::Pending(_) => "INDEXED BY members_pending WHERE m.state > 7 AND",
    };
    format!("SELECT m.idx, {MEMBER} FROM members m {index} m.array = ?7 AND m.idx < ?1 ORDER BY m.idx DESC LIMIT ?2")
}

/// Every statement that a list can use, for the test that none of them walks a table.
#[cfg(test)]
pub(in crate::sqlite) fn statements() -> Vec<String> {
    let walks = [Walk::All, Walk::InFlight, Walk::Bad];
    let pending = [Walk::Pending(StateWord::Queued), Walk::Pending(StateWord::BackingOff)];
    let mut all: Vec<String> = walks.iter().map(|walk| tasks_sql(*walk)).collect();
    all.extend(walks.iter().chain(&pending).map(|walk| members_sql(*walk)));
    all.extend([Sorted::Backlog.sql().to_owned(), Sorted::Waiting.sql().to_owned(), one_sql()]);
    all.push(super::members::ROWS.to_owned());
    all
}
