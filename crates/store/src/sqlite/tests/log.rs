//! What is written of the log, and when.

use super::super::open;
use crate::conformance::samples::queued;
use crate::conformance::scribe::Scribe;
use rusqlite::Connection;
use std::{fs, path::Path};

/// What this thread has called to write, so far.
fn writes() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("syscw: ")).expect("calls are counted");
    line.parse().unwrap()
}

#[test]
fn a_commit_is_one_write_to_the_log_and_one_to_the_watermark() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = super::open(dir.path()).unwrap();
    let epoch = crate::Store::begin(&mut store).unwrap().epoch;
    for n in 0..3 {
        let mut scribe = Scribe::default();
        scribe.insert(&queued(n));
        let before = writes();
        crate::Store::commit(&mut store, &scribe.batch(epoch)).unwrap();
        assert_eq!(writes() - before, 2);
    }
}

/// So many rows of a kilobyte each, in an open transaction.
fn fill(conn: &Connection, rows: i64, what: i64) {
    let sql = "WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        INSERT OR REPLACE INTO rows SELECT n, ?2, randomblob(1000) FROM n";
    conn.execute(sql, [rows, what]).unwrap();
}

/// How many rows there are of this, and what SQLite says of the file.
fn found(conn: &Connection, what: i64) -> (i64, String) {
    let rows = conn.query_row("SELECT count(*) FROM rows WHERE what = ?1", [what], |row| row.get(0)).unwrap();
    let sound = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    (rows, sound)
}

/// As a scheduler finds it that was killed now.
fn after_a_kill(dir: &Path, what: i64) -> (i64, String) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["tasks.sqlite", "tasks.sqlite-wal"] {
        fs::copy(dir.join(name), copy.path().join(name)).unwrap();
    }
    found(&Connection::open(copy.path().join("tasks.sqlite")).unwrap(), what)
}

#[test]
fn changes_larger_than_all_memory_for_them_are_read_rolled_back_and_committed() {
    let dir = tempfile::tempdir().unwrap();
    let conn = open::writer(dir.path()).unwrap();
    conn.execute_batch("CREATE TABLE rows(n INTEGER PRIMARY KEY, what INTEGER, bytes BLOB); PRAGMA cache_size = 20")
        .unwrap();
    let other = open::reader(&open::file(dir.path())).unwrap();
    let sound = || "ok".to_owned();
    for round in 0..4 {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        fill(&conn, 3_000, round);
        assert_eq!(found(&conn, round), (3_000, sound()), "what it wrote itself");
        assert_eq!(found(&other, round).0, 0, "not yet");
        conn.execute_batch("ROLLBACK").unwrap();
        assert_eq!(after_a_kill(dir.path(), round), (0, sound()));
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        fill(&conn, 100 + round, round);
        fill(&conn, 50, round);
        conn.execute_batch("COMMIT").unwrap();
        assert_eq!(found(&other, round), (100 + round, sound()));
        assert_eq!(after_a_kill(dir.path(), round), (100 + round, sound()));
        // The log begins anew, over what it held.
        conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    }
}
