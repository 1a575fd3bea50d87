//! Losses that an operator accepted, and the marks that everything acknowledged carries.

use super::apply::{int, uint};
use super::rows::fault;
use crate::{Failure, Loss, SealKey, Watermark};
use domain::{Commit, Epoch, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Row};

/// After a loss, commits and epochs go on so far above the highest that anybody is known to remember: who remembers more,
/// because he was away, remembers less than what comes now. Neither number gets there by counting.
const COMMITS: u64 = 1 << 32;
const EPOCHS: u64 = 1 << 20;

/// The mark in a row of store, epoch, commit.
pub(super) fn mark(row: &Row<'_>) -> rusqlite::Result<Watermark> {
    let store_id: String = row.get(0)?;
    Ok(Watermark { store_id: store_id.into(), epoch: Epoch(uint(row.get(1)?)), commit: Commit(uint(row.get(2)?)) })
}

/// The mark of what is being committed. What was acknowledged before names the store without asking.
pub(super) fn moved(
    conn: &Connection,
    acknowledged: Option<&Watermark>,
    epoch: Epoch,
    commit: Commit,
) -> Result<Watermark, Failure> {
    match acknowledged {
        Some(mark) => Ok(Watermark { store_id: mark.store_id.clone(), epoch, commit }),
        None => current(conn),
    }
}

/// The mark of the store as it stands.
pub(super) fn current(conn: &Connection) -> Result<Watermark, Failure> {
    conn.query_row("SELECT store_id, epoch, commit_no FROM meta", [], mark).map_err(fault)
}

/// Gives what is being committed a number.
pub(super) fn number(conn: &Connection) -> Result<Commit, Failure> {
    let sql = "UPDATE meta SET commit_no = commit_no + 1 RETURNING commit_no";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    statement.query_row([], |row| row.get(0)).map(|number| Commit(uint(number))).map_err(fault)
}

/// See [`crate::Store::accept_loss`].
pub(super) fn accept(conn: &Connection, at: UnixMillis, remembered: &[Watermark]) -> Result<Watermark, Failure> {
    let now = current(conn)?;
    let ours = remembered.iter().filter(|mark| mark.store_id == now.store_id);
    let (epoch, commit) = ours.fold((now.epoch.0, now.commit.0), |(epoch, commit), mark| {
        (epoch.max(mark.epoch.0), commit.max(mark.commit.0))
    });
    let (epoch, commit) = (epoch.saturating_add(EPOCHS), commit.saturating_add(COMMITS));
    // Made when it is needed first: an older build that knows nothing of it can still open the file.
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS losses(
            after INTEGER PRIMARY KEY, upto INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT",
    )
    .map_err(fault)?;
    let values = (int(now.commit.0), int(commit), at.0);
    conn.execute("INSERT OR REPLACE INTO losses VALUES (?1, ?2, ?3)", values).map_err(fault)?;
    conn.execute("UPDATE meta SET epoch = ?1, commit_no = ?2", (int(epoch), int(commit))).map_err(fault)?;
    current(conn)
}

/// The store's secret, made when it is needed first: an older build that knows nothing of it can still open the file.
pub(super) fn seal(conn: &Connection) -> Result<SealKey, Failure> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS seal(one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL) STRICT;
         INSERT OR IGNORE INTO seal VALUES (1, randomblob(32));",
    )
    .map_err(fault)?;
    conn.query_row("SELECT key FROM seal", [], |row| row.get(0)).map(SealKey).map_err(fault)
}

/// All of them, oldest first.
pub(super) fn losses(conn: &Connection) -> Result<Vec<Loss>, Failure> {
    let made = conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'losses'", [], |_| Ok(())).optional();
    if made.map_err(fault)?.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = conn.prepare("SELECT after, upto, at_ms FROM losses ORDER BY after").map_err(fault)?;
    let loss = |row: &Row<'_>| {
        let (after, upto) = (Commit(uint(row.get(0)?)), Commit(uint(row.get(1)?)));
        Ok(Loss { after, upto, at: UnixMillis(row.get(2)?) })
    };
    statement.query_map([], loss).and_then(Iterator::collect).map_err(fault)
}
