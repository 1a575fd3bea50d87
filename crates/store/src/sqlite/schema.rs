//! The tables, and how an older file becomes a newer one.

use super::upgrade;
use domain::{Error, Kind, Result};
use rusqlite::{Connection, TransactionBehavior};

/// One step leads from the version that is its index to the next one: what SQL can do, then what it can't. Steps are never
/// changed once released.
const MIGRATIONS: [(&str, Upgrade); 5] =
    [(V1, nothing), (V2, upgrade::to_v2), (V3, nothing), (V4, nothing), (V5, nothing)];

type Upgrade = fn(&Connection) -> std::result::Result<(), crate::Failure>;

fn nothing(_: &Connection) -> std::result::Result<(), crate::Failure> {
    Ok(())
}

/// Row keys come from the id, so the id has no index; names are interned; partial indexes are ranges, which cost a
/// fraction of `IN` lists (MEASURED). States are `StateWord::code`.
pub(super) const V1: &str = "
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

/// The backlog is in the store alone: rows that wait have `ready` (their place in their class) or `due_ms`, and indexes that
/// hold nothing else. Classes are interned; counts are kept by class, and in `totals` by queue, 0 standing for all of them.
/// What is asked of arrays alone is in `arrays`, beside their rows in `tasks`, so that other tasks pay for no index of
/// theirs: `ends` is the place behind the last member's, `early` as in the books; `is_array` is 1 or NULL. Members lie
/// apart, with the key that their ids have. Indexes over names or workers would cost every task 2 µs (MEASURED).
const V2: &str = "
DROP INDEX backlog; DROP INDEX inflight; DROP INDEX bad; DROP INDEX backing_off; DROP INDEX idem; DROP TABLE counts;
ALTER TABLE tasks RENAME TO tasks_v1;
ALTER TABLE progress RENAME TO progress_v1;
ALTER TABLE tails RENAME TO tails_v1;
CREATE TABLE classes(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, queue INTEGER NOT NULL) STRICT;
CREATE TABLE counts(
    class INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (class, state)) STRICT, WITHOUT ROWID;
CREATE INDEX queued ON counts(class) WHERE state = 0 AND n > 0;
CREATE TABLE totals(
    queue INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (queue, state)) STRICT, WITHOUT ROWID;
CREATE TABLE paused(queue TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE drained(worker TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE tasks(
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL, state INTEGER NOT NULL, class INTEGER NOT NULL, queue INTEGER NOT NULL,
    name INTEGER NOT NULL, worker INTEGER, ready INTEGER, due_ms INTEGER, updated_ms INTEGER NOT NULL,
    finished_ms INTEGER, idem BLOB, is_array INTEGER, detail BLOB NOT NULL) STRICT;
CREATE TABLE arrays(
    seq INTEGER PRIMARY KEY, class INTEGER NOT NULL, ready INTEGER, ends INTEGER NOT NULL, early INTEGER NOT NULL) STRICT;
CREATE TABLE members(
    array INTEGER NOT NULL, idx INTEGER NOT NULL, state INTEGER NOT NULL, class INTEGER NOT NULL, worker INTEGER,
    ready INTEGER, due_ms INTEGER, updated_ms INTEGER NOT NULL, finished_ms INTEGER, detail BLOB NOT NULL,
    PRIMARY KEY (array, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE entries(
    array INTEGER NOT NULL, first INTEGER NOT NULL, block BLOB NOT NULL, PRIMARY KEY (array, first)) STRICT, WITHOUT ROWID;
CREATE TABLE member_results(
    array INTEGER NOT NULL, idx INTEGER NOT NULL, result BLOB NOT NULL, PRIMARY KEY (array, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE progress(
    seq INTEGER NOT NULL, member INTEGER NOT NULL, event INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL, percent INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (seq, member, event)) STRICT, WITHOUT ROWID;
CREATE TABLE tails(
    seq INTEGER NOT NULL, member INTEGER NOT NULL, attempt INTEGER NOT NULL, first INTEGER NOT NULL,
    after INTEGER NOT NULL, frames BLOB NOT NULL, PRIMARY KEY (seq, member, attempt, first)) STRICT, WITHOUT ROWID;
INSERT INTO progress SELECT seq, 0, event, at_ms, attempt, percent, message FROM progress_v1;
INSERT INTO tails SELECT seq, 0, attempt, first, after, frames FROM tails_v1;
DROP TABLE progress_v1;
DROP TABLE tails_v1;
";

/// Queued rows may have a `due_ms` as well: they wait for their first start no longer than that. Builds that don't know it
/// would read such rows over and over, so they are kept away by the number.
const V3: &str = "";

/// Tokens. Builds that don't know them would let anybody in, so they are kept away by the number. `scopes` is
/// `Scopes::code`.
const V4: &str = "
CREATE TABLE tokens(
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, scopes INTEGER NOT NULL, queue TEXT, worker TEXT,
    created_ms INTEGER NOT NULL, expires_ms INTEGER, revoked_ms INTEGER) STRICT, WITHOUT ROWID;
";

/// What became of tokens for joining: all three columns or none. Builds that don't know them would let a worker in that was
/// shut out, so they are kept away by the number.
const V5: &str = "
ALTER TABLE tokens ADD COLUMN enrolled_worker TEXT;
ALTER TABLE tokens ADD COLUMN enrolled_key BLOB;
ALTER TABLE tokens ADD COLUMN enrolled_ms INTEGER;
";

/// Made once the rows of the older version are in place: filling a table that has indexes takes longer.
pub(super) const V2_INDEXES: &str = "
CREATE INDEX backlog ON tasks(class, ready) WHERE ready IS NOT NULL;
CREATE INDEX waiting ON tasks(due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX inflight ON tasks(seq) WHERE state > 0 AND state < 4;
CREATE INDEX bad ON tasks(seq) WHERE state > 4 AND state < 8;
CREATE UNIQUE INDEX idem ON tasks(idem) WHERE idem IS NOT NULL;
CREATE INDEX arrays_backlog ON arrays(class, ready) WHERE ready IS NOT NULL;
CREATE INDEX members_backlog ON members(class, ready) WHERE ready IS NOT NULL;
CREATE INDEX members_waiting ON members(due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX members_pending ON members(array, idx) WHERE state = 0 OR state > 7;
CREATE INDEX members_inflight ON members(array, idx) WHERE state > 0 AND state < 4;
CREATE INDEX members_bad ON members(array, idx, state) WHERE state > 4 AND state < 8;
";

/// Brings the file to this build's schema.
///
/// # Errors
/// [`Kind::Precondition`] if a newer build wrote it: nothing is changed then.
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    migrate_to(conn, MIGRATIONS.len())
}

/// Brings the file to this version, as the build did that knew no later one.
pub(super) fn migrate_to(conn: &mut Connection, newest: usize) -> Result<()> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fault)?;
    let Some(found) = usize::try_from(found).ok().filter(|version| *version <= newest) else {
        return Err(Error::new(
            Kind::Precondition,
            format!("the store's schema version {found} is from a newer build; this one knows versions up to {newest}"),
        ));
    };
    for (version, (sql, rust)) in MIGRATIONS.iter().enumerate().take(newest).skip(found) {
        let change = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
        change.execute_batch(sql).map_err(fault)?;
        rust(&change).map_err(fault)?;
        change.execute_batch(&format!("PRAGMA user_version = {}", version + 1)).map_err(fault)?;
        change.commit().map_err(fault)?;
    }
    Ok(())
}

fn fault(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("bringing the store to this build's schema: {error}"))
}
