//! The tables, and how an older file becomes a newer one.

use domain::{Error, Kind, Result};
use rusqlite::Connection;

/// Each entry leads from the version that is its index to the next one. Entries are never changed once released.
const MIGRATIONS: [&str; 1] = [V1];

/// Row keys come from the id, so the id has no index; names are interned; partial indexes are ranges, which cost a
/// fraction of `IN` lists (MEASURED). States are `StateWord::code`.
const V1: &str = "
CREATE TABLE meta(
    one INTEGER PRIMARY KEY CHECK (one = 1), store_id TEXT NOT NULL,
    epoch INTEGER NOT NULL, commit_no INTEGER NOT NULL, ready_seq INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES (1, lower(hex(randomblob(16))), 0, 0, 0);
CREATE TABLE names(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE offered(name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE counts(state INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
INSERT INTO counts VALUES (0,0),(1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0);
CREATE TABLE tasks(
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL, state INTEGER NOT NULL, priority INTEGER NOT NULL,
    queue INTEGER NOT NULL, name INTEGER NOT NULL, worker INTEGER, ready_seq INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, finished_ms INTEGER,
    idem BLOB, detail BLOB NOT NULL) STRICT;
CREATE INDEX backlog ON tasks(queue, priority DESC, ready_seq) WHERE state = 0;
CREATE INDEX inflight ON tasks(seq) WHERE state > 0 AND state < 4;
CREATE INDEX bad ON tasks(seq) WHERE state > 4 AND state < 8;
CREATE INDEX backing_off ON tasks(seq) WHERE state > 7;
CREATE UNIQUE INDEX idem ON tasks(idem) WHERE idem IS NOT NULL;
CREATE TABLE specs(seq INTEGER PRIMARY KEY, spec BLOB NOT NULL, input BLOB NOT NULL) STRICT;
CREATE TABLE results(seq INTEGER PRIMARY KEY, result BLOB NOT NULL) STRICT;
CREATE TABLE progress(
    seq INTEGER NOT NULL, event INTEGER NOT NULL, at_ms INTEGER NOT NULL, attempt INTEGER NOT NULL,
    percent INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY (seq, event)) STRICT, WITHOUT ROWID;
CREATE TABLE tails(
    seq INTEGER NOT NULL, attempt INTEGER NOT NULL, first INTEGER NOT NULL, after INTEGER NOT NULL,
    frames BLOB NOT NULL, PRIMARY KEY (seq, attempt, first)) STRICT, WITHOUT ROWID;
";

/// Brings the file to this build's schema.
///
/// # Errors
/// [`Kind::Precondition`] if a newer build wrote it: nothing is changed then.
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    let newest = MIGRATIONS.len();
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fault)?;
    let Some(pending) = usize::try_from(found).ok().and_then(|version| MIGRATIONS.get(version..)) else {
        return Err(Error::new(
            Kind::Precondition,
            format!("the store's schema version {found} is from a newer build; this one knows versions up to {newest}"),
        ));
    };
    for (version, sql) in MIGRATIONS.iter().enumerate().skip(newest - pending.len()) {
        let change = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fault)?;
        change.execute_batch(sql).map_err(fault)?;
        change.execute_batch(&format!("PRAGMA user_version = {}", version + 1)).map_err(fault)?;
        change.commit().map_err(fault)?;
    }
    Ok(())
}

fn fault(error: rusqlite::Error) -> Error {
    Error::internal(format!("bringing the store to this build's schema: {error}"))
}
