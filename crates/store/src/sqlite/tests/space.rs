//! Deleted rows leave room for new ones.

use super::*;
use crate::conformance::samples::*;
use crate::conformance::scribe::Scribe;
use domain::{Final, State, TaskId, UnixMillis};
use std::time::Duration;

/// `n` final tasks with results, and an array of as many members, half of them with rows.
fn fill(store: &mut SqliteStore, epoch: Epoch, n: u64) {
    let mut scribe = Scribe::default();
    for n in 0..n {
        let mut task = in_state(queued(n), State::Final(Final::Failed("exit code 1".into())));
        task.result = vec![n as u8; 300];
        scribe.insert(&task);
    }
    let array = id(n);
    scribe.insert(&crate::conformance::samples::array(n, &format!("1-{n}")));
    for rank in 0..n / 2 {
        scribe.member(array, rank, |member| in_state(member, State::Final(Final::Completed)));
    }
    scribe.close(array, UnixMillis(1));
    scribe.end(array, Final::Cancelled { unconfirmed: None }, UnixMillis(1));
    store.commit(&scribe.batch(epoch)).unwrap();
}

fn expire(store: &mut SqliteStore, epoch: Epoch) -> u64 {
    let (mut tasks, mut after) = (0, Some(0));
    while let Some(place) = after {
        let before = UnixMillis(TaskId::default().unix_ms() as i64 + (1 << 47));
        let expired = store.expire(epoch, &Expiry { before, after: place, limit: 100, time: Duration::MAX }).unwrap();
        (tasks, after) = (tasks + expired.tasks, expired.next);
    }
    tasks
}

#[test]
fn a_file_does_not_grow_when_as_much_is_inserted_as_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    let pages = |store: &SqliteStore| {
        store.conn().unwrap().query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    fill(&mut store, epoch, 1_000);
    let full = pages(&store);
    for _ in 0..3 {
        assert_eq!(expire(&mut store, epoch), 2_000);
        fill(&mut store, epoch, 1_000);
        assert!(pages(&store) <= full + full / 100, "{full} pages became {}", pages(&store));
    }
    let free: i64 = store.conn().unwrap().query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
    assert!(free < full / 10, "{free} of {full} pages are free");
}

#[test]
fn the_log_begins_anew_before_it_grows_large() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    let log = || std::fs::metadata(dir.path().join("tasks.sqlite-wal")).unwrap().len();
    let mut written = 0;
    for _ in 0..25 {
        fill(&mut store, epoch, 1_000);
        expire(&mut store, epoch);
        written += store.conn().unwrap().query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap();
    }
    assert!(written * 4_096 > 22 << 20, "{written} pages prove nothing");
    assert!(log() < 20 << 20, "the log has {} bytes", log());
}

#[test]
fn the_log_begins_anew_when_a_long_reader_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    let log = dir.path().join("tasks.sqlite-wal");
    // A log that begins anew has other salts.
    let salts = || std::fs::read(&log).unwrap()[16..24].to_vec();
    let reader = rusqlite::Connection::open(dir.path().join("tasks.sqlite")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tasks").unwrap();
    let held = salts();
    while std::fs::metadata(&log).unwrap().len() < 48 << 20 {
        fill(&mut store, epoch, 1_000);
        expire(&mut store, epoch);
    }
    assert_eq!(salts(), held, "it was read all the time");
    drop(reader);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while salts() == held {
        assert!(std::time::Instant::now() < until, "the log has {} bytes", std::fs::metadata(&log).unwrap().len());
        fill(&mut store, epoch, 1);
        expire(&mut store, epoch);
    }
}

#[test]
fn a_killed_schedulers_log_is_written_over_unless_it_is_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    fill(&mut store, epoch, 1_000);
    let count = |store: &SqliteStore| {
        let count = store.conn().unwrap().query_row("SELECT count(*) FROM tasks", [], |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    for (length, kept) in [(None, true), (Some(17 << 20), false)] {
        // As the files are when it is killed.
        let killed = tempfile::tempdir().unwrap();
        for name in ["tasks.sqlite", "tasks.sqlite-wal", "watermark"] {
            std::fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
        }
        let log = std::fs::OpenOptions::new().write(true).open(killed.path().join("tasks.sqlite-wal")).unwrap();
        length.into_iter().for_each(|length| log.set_len(length).unwrap());
        let before = log.metadata().unwrap().len();
        let mut again = open(killed.path()).unwrap();
        again.begin().unwrap();
        assert_eq!(log.metadata().unwrap().len() == before, kept, "{before} bytes");
        assert_eq!(count(&again), count(&store));
    }
}
