//! How SQLite goes about it: nothing that is asked while the system runs may walk or sort a whole table.

use super::*;
use crate::sqlite::{ahead, beforehand, behind, entries, expire, list, load, members, named, put};

/// Indexes that hold little, or are walked with a limit.
const MAY_BE_SCANNED: [&str; 4] = [
    "USING INDEX inflight",
    "USING INDEX members_inflight",
    "USING COVERING INDEX backlog",
    "USING COVERING INDEX waiting",
];

fn complaints(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3)).map(Result::unwrap);
    let wrong = |line: &String| {
        let scan = line.starts_with("SCAN ")
            && !line.starts_with("SCAN (")
            && !MAY_BE_SCANNED.iter().any(|index| line.ends_with(index));
        scan || line.contains("TEMP B-TREE") || line.contains("AUTOMATIC")
    };
    lines.filter(wrong).map(|line| format!("{line}: {sql}")).collect()
}

#[test]
fn no_query_walks_or_sorts_a_whole_table() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let mut all: Vec<String> = Vec::new();
    all.extend(load::sql());
    all.extend(ahead::backlog_sql());
    all.extend(ahead::waiting_sql());
    all.extend([ahead::CLASSES, ahead::EARLY, entries::BLOCK, members::FAILED].map(str::to_owned));
    all.extend([behind::ARRAYS, behind::TASKS, behind::MEMBERS, behind::EARLY].map(str::to_owned));
    all.extend([named::TASKS, named::ARRAYS].map(str::to_owned));
    all.extend(put::CLOSE.map(str::to_owned));
    all.extend(list::statements());
    all.extend(expire::statements().chain(beforehand::statements()).map(str::to_owned));
    let wrong: Vec<String> = all.iter().flat_map(|sql| complaints(store.conn().unwrap(), sql)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_page_may_begin_in_the_midst_of_many_that_are_due_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let begins = ["(due_ms=? AND rowid>?)", "(due_ms>?)", "((due_ms,array,idx)>(?,?,?))"];
    for (sql, begins) in ahead::waiting_sql().iter().zip(begins) {
        let plan = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = store.conn().unwrap().prepare(&plan).unwrap();
        let first: String = statement.raw_query().mapped(|row| row.get(3)).next().unwrap().unwrap();
        assert!(first.ends_with(begins), "{first}");
    }
}

#[test]
fn a_statement_is_prepared_once_whatever_is_bound_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let anew = |conn: &Connection| {
        let mut statement = conn.prepare(expire::CANDIDATES).unwrap();
        for limit in 1..4 {
            assert!(statement.query((0, i64::MAX, limit)).unwrap().next().unwrap().is_none());
        }
        statement.get_status(rusqlite::StatementStatus::RePrepare)
    };
    assert_eq!(anew(store.conn().unwrap()), 0);
    assert_eq!(store.reader.with(|conn| Ok(anew(conn))).unwrap(), 0);
    assert_ne!(anew(&Connection::open(dir.path().join("tasks.sqlite")).unwrap()), 0, "else this proves nothing");
}

#[test]
fn a_walk_and_a_sort_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for sql in ["SELECT * FROM tasks WHERE name = 1", "SELECT seq FROM tasks WHERE seq > 1 ORDER BY updated_ms"] {
        assert_eq!(complaints(store.conn().unwrap(), sql).len(), 1, "{sql}");
    }
}
