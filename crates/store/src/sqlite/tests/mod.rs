//! What only a store on a disk can do wrong.

mod bounds;
mod damage;
mod log;
mod plans;
mod space;
mod upgrade;

use super::*;
use domain::{Error, Kind};

fn open(dir: &Path) -> DomainResult<SqliteStore> {
    SqliteStore::open(dir)
}

fn refusal(dir: &Path) -> Error {
    open(dir).map(|_| ()).unwrap_err()
}

fn offer(epoch: Epoch, name: &str) -> Batch {
    let writes = vec![domain::Write::Offered([name.to_owned()].into())];
    Batch { epoch, writes, tallies: Vec::new(), ready_seq: 0 }
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let first = store.begin().unwrap();
    let commit = store.commit(&offer(first.epoch, "resize")).unwrap();
    drop(store);
    let mut store = open(dir.path()).unwrap();
    let second = store.begin().unwrap();
    assert_eq!((second.store_id, second.commit), (first.store_id, commit));
    assert!(second.epoch > first.epoch);
    assert!(store.load().unwrap().offered.contains("resize"));
}

#[test]
fn a_data_directory_serves_one_scheduler_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let error = refusal(dir.path());
    let text = format!("data directory {} is in use by another scheduler", dir.path().display());
    assert_eq!((error.kind(), error.text()), (Kind::Precondition, text.as_str()));
    drop(store);
    open(dir.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refusal(&file.join("data"));
    assert!(error.text().contains(&*file.to_string_lossy()), "{error}");
    assert!(error.text().contains("cannot be written"), "{error}");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let conn = Connection::open(open::file(dir.path())).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    let error = refusal(dir.path());
    assert_eq!(error.kind(), Kind::Precondition);
    assert!(error.text().contains("99") && error.text().contains("up to 5"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(open::file(dir.path()), vec![b'x'; 8_192]).unwrap();
    assert_eq!(refusal(dir.path()).kind(), Kind::Precondition);
}

#[test]
fn no_room_is_definite_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    let pages = |store: &SqliteStore, max: i64| {
        let conn = store.conn().unwrap();
        conn.query_row(&format!("PRAGMA max_page_count = {max}"), [], |row| row.get::<_, i64>(0)).unwrap();
    };
    pages(&store, 1);
    let big = "x".repeat(1_000_000);
    assert_eq!(store.commit(&offer(epoch, &big)), Err(Failure::Definite(Reason::Full)));
    pages(&store, 1_000_000);
    store.commit(&offer(epoch, &big)).unwrap();
    assert_eq!(store.load().unwrap().offered.len(), 1);
}

#[test]
fn after_a_failure_a_new_reign_opens_the_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    store.commit(&offer(epoch, "before")).unwrap();
    let reader = store.reader();
    assert!(reader.counts().is_ok());
    store.close();
    assert!(matches!(store.commit(&offer(epoch, "late")), Err(Failure::Definite(Reason::Other(_)))));
    assert!(store.load().is_err());
    let epoch = store.begin().unwrap().epoch;
    store.commit(&offer(epoch, "after")).unwrap();
    assert_eq!(store.load().unwrap().offered.into_iter().collect::<Vec<_>>(), ["after", "before"]);
    assert!(reader.counts().is_ok(), "readers go on");
}

#[test]
fn readers_share_a_few_connections() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    store.begin().unwrap();
    let reader = store.reader();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert!(reader.named("last", 1).is_ok())));
        }
    });
}
