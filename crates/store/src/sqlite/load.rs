//! What a reign starts from: what runs, never what waits.

use super::apply::uint;
use super::members::{self, Arrays};
use super::rows::{self, Extent, value, values};
use super::tallies;
use crate::{Failure, Reason};
use domain::{Loaded, WorkerId};
use rusqlite::Connection;

/// Tasks and members with attempts under way. An array that has begun is in the same states, but has none of its own.
pub(super) fn sql() -> [String; 2] {
    let tasks = "WHERE t.state > 0 AND t.state < 4 AND t.is_array IS NULL";
    let members = "WHERE m.state > 0 AND m.state < 4";
    [
        Extent::Whole.sql("INDEXED BY inflight", tasks),
        members::sql(Extent::Whole, "INDEXED BY members_inflight", members),
    ]
}

pub(super) fn load(conn: &Connection) -> Result<Loaded, Failure> {
    let [of_tasks, of_members] = sql();
    let mut tasks = rows::whole(conn, &of_tasks, [])?;
    let mut arrays = Arrays::new(conn, Extent::Whole);
    tasks.extend(arrays.members(&of_members, [])?.into_iter().map(|found| found.task));
    tasks.sort_by_key(|task| task.place());
    let ready_seq: Option<i64> = value(conn, "SELECT ready_seq FROM meta", [])?;
    let draining: Vec<String> = values(conn, "SELECT worker FROM drained", [])?;
    Ok(Loaded {
        tasks,
        arrays: arrays.into_known(),
        ready_seq: uint(ready_seq.ok_or_else(|| Failure::Definite(Reason::Other("no ready_seq".into())))?),
        offered: values(conn, "SELECT name FROM offered", [])?.into_iter().collect(),
        counts: tallies::counts(conn, tallies::ALL)?,
        paused: values(conn, "SELECT queue FROM paused", [])?.into_iter().collect(),
        draining: draining.iter().map(|worker| WorkerId::new(worker)).collect(),
    })
}
