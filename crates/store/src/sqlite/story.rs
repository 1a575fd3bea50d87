//! What a task's story has beside its record: progress events, and the tails of its attempts' output.

use super::apply::{int, uint};
use super::put::member;
use super::rows::{blob, fault};
use crate::record::decode_frames;
use crate::{Failure, Reason};
use domain::{AttemptId, AttemptNo, Event, EventKind, Frame, Progress, Stamp, TaskId, UnixMillis};
use rusqlite::Connection;

pub(super) fn progress(conn: &Connection, task: TaskId, after: u64) -> Result<Vec<Event>, Failure> {
    let sql = "SELECT event, at_ms, attempt, percent, message FROM progress
        WHERE seq = ?1 AND member = ?2 AND event > ?3 ORDER BY event";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let rows = statement.query_map([task.row_key(), member(task), int(after)], |row| {
        Ok(Event {
            task,
            stamp: Stamp { event: uint(row.get(0)?), at: UnixMillis(row.get(1)?) },
            attempt: row.get(2)?,
            kind: EventKind::Progressed(Progress { percent: row.get(3)?, message: row.get(4)? }),
        })
    });
    rows.and_then(Iterator::collect).map_err(fault)
}

pub(super) fn tails(conn: &Connection, task: TaskId) -> Result<Vec<(u64, Frame)>, Failure> {
    let sql = "SELECT attempt, after, frames FROM tails WHERE seq = ?1 AND member = ?2 ORDER BY attempt, first";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query([task.row_key(), member(task)]).map_err(fault)?;
    let mut tails = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let attempt = AttemptId { task, no: AttemptNo(row.get(0).map_err(fault)?) };
        let after = uint(row.get(1).map_err(fault)?);
        let frames = decode_frames(attempt, blob(row, 2)?)
            .map_err(|error| Failure::Definite(Reason::Other(format!("tail of {task}: {error}"))))?;
        tails.extend(frames.into_iter().map(|frame| (after, frame)));
    }
    Ok(tails)
}
