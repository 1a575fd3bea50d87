//! A file of an older version, opened by this build.

use super::*;
use crate::conformance::samples::*;
use crate::record::{encode_spec, encode_task, input};
use crate::sqlite::schema;
use domain::{ClassKey, Counts, Event, IdempotencyKey, Page, PageRequest, State, StateWord, Task, TaskFilter, Wait};
use rusqlite::params;

/// A row as the first version wrote it.
fn insert_v1(conn: &Connection, task: &Task) {
    let name = |text: &str| {
        conn.execute("INSERT OR IGNORE INTO names(text) VALUES (?1)", [text]).unwrap();
        conn.query_row("SELECT id FROM names WHERE text = ?1", [text], |row| row.get::<_, i64>(0)).unwrap()
    };
    let seq = task.id.row_key();
    let values = params![
        seq,
        task.id.uuid_bytes(),
        task.state.word().code(),
        task.spec.priority,
        name(&task.spec.queue),
        name(&task.spec.name),
        task.worker().map(|worker| name(worker.as_str())),
        task.ready_seq as i64,
        task.accepted.at.0,
        task.updated.0,
        task.finished.map(|stamp| stamp.at.0),
        task.spec.key.as_ref().map(|key| key.key),
        encode_task(task),
    ];
    conn.execute("INSERT INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)", values).unwrap();
    conn.execute("INSERT INTO specs VALUES (?1, ?2, ?3)", params![seq, encode_spec(&task.spec), input(&task.spec)])
        .unwrap();
    if !task.result.is_empty() {
        conn.execute("INSERT INTO results VALUES (?1, ?2)", params![seq, task.result]).unwrap();
    }
    conn.execute("UPDATE counts SET n = n + 1 WHERE state = ?1", [task.state.word().code()]).unwrap();
    conn.execute("INSERT INTO progress VALUES (?1, 4, 5, 1, 6, 'seven')", [seq]).unwrap();
    let frames = crate::record::encode_frames(&[frame(task.id, 1, 1)]);
    conn.execute("INSERT INTO tails VALUES (?1, 1, 1, 3, ?2)", params![seq, frames]).unwrap();
}

fn tasks() -> Vec<Task> {
    // Arrays and delays came later.
    let known = |state: &State| !matches!(state, State::Pending(Wait::Delayed(_)));
    let mut tasks: Vec<Task> =
        (0..).zip(states().into_iter().filter(known)).map(|(n, state)| in_state(queued(n), state)).collect();
    tasks.push(with_spec(queued(30), |spec| spec.key = Some(IdempotencyKey { key: [1; 16], body: [2; 16] })));
    tasks.push(with_spec(queued(31), |spec| spec.queue = "other".into()));
    tasks
}

/// A file of the first version with these tasks.
fn v1(dir: &Path, tasks: &[Task]) {
    let mut conn = Connection::open(open::file(dir)).unwrap();
    schema::migrate_to(&mut conn, 1).unwrap();
    tasks.iter().for_each(|task| insert_v1(&conn, task));
    conn.execute_batch(
        "UPDATE meta SET epoch = 5, commit_no = 77, ready_seq = 99; INSERT INTO offered VALUES ('resize')",
    )
    .unwrap();
}

#[test]
fn an_older_file_has_the_same_tasks_afterwards() {
    let (dir, tasks) = (tempfile::tempdir().unwrap(), tasks());
    v1(dir.path(), &tasks);
    let mut store = open(dir.path()).unwrap();
    let opened = store.begin().unwrap();
    assert_eq!((opened.epoch, opened.commit), (Epoch(6), Commit(77)));
    let reader = store.reader();
    for task in &tasks {
        assert_eq!(reader.task(task.id).unwrap().as_ref(), Some(task));
        let stamps: Vec<_> = reader.progress(task.id, 0).unwrap().iter().map(|e: &Event| e.stamp.event).collect();
        assert_eq!((stamps, reader.tails(task.id)), (vec![4], Ok(vec![(3, frame(task.id, 1, 1))])));
    }
    let loaded = store.load().unwrap();
    let running = tasks.iter().filter(|task| task.state.live().is_some()).count();
    assert_eq!((loaded.tasks.len(), loaded.ready_seq, loaded.offered.len()), (running, 99, 1));
    let fact = store.facts(&[Need::Key([1; 16])]).unwrap().remove(0).found;
    assert_eq!(fact.map(|found| found.task.id), Some(id(30)));
}

#[test]
fn an_older_file_gets_classes_windows_and_counts() {
    let (dir, tasks) = (tempfile::tempdir().unwrap(), tasks());
    v1(dir.path(), &tasks);
    let mut store = open(dir.path()).unwrap();
    let mut counts = Counts::default();
    tasks.iter().for_each(|task| counts.add(task.state.word(), 1));
    assert_eq!(store.reader().counts(), Ok(counts));
    let Ahead::Classes { classes, next: None } = store.ahead(&Want::Classes { after: 0, limit: 9 }).unwrap() else {
        panic!("two classes")
    };
    let keys: Vec<ClassKey> = [0, 31]
        .map(|n| tasks.iter().find(|task| task.id == id(n)).unwrap())
        .map(|task| ClassKey::of(&task.spec))
        .to_vec();
    assert_eq!(classes.iter().map(|class| ClassKey::clone(class)).collect::<Vec<_>>(), keys);
    let class = Arc::clone(&classes[0]);
    let Ahead::Backlog { found, .. } = store.ahead(&Want::Backlog { class, after: None, limit: 9 }).unwrap() else {
        panic!("a backlog")
    };
    assert_eq!(found.iter().map(|found| found.task.id).collect::<Vec<_>>(), [id(0), id(30)]);
    let Ahead::Waiting { found, .. } = store.ahead(&Want::Waiting { after: None, limit: 9 }).unwrap() else {
        panic!("what waits")
    };
    assert_eq!(found.iter().map(|found| found.task.id).collect::<Vec<_>>(), [id(1)]);
    let filter = TaskFilter { states: vec![StateWord::Failed, StateWord::Queued], ..TaskFilter::default() };
    let Page { items, .. } = store.reader().list(&PageRequest { filter, after: None, limit: 9 }).unwrap();
    assert_eq!(items.len(), 4);
}

#[test]
fn a_failed_step_leaves_the_older_file_as_it_was() {
    let (dir, tasks) = (tempfile::tempdir().unwrap(), tasks());
    v1(dir.path(), &tasks);
    let conn = Connection::open(open::file(dir.path())).unwrap();
    let spec: Vec<u8> = conn.query_row("SELECT spec FROM specs LIMIT 1", [], |row| row.get(0)).unwrap();
    conn.execute_batch("UPDATE specs SET spec = x'ff' WHERE seq = (SELECT min(seq) FROM specs)").unwrap();
    drop(conn);
    let error = refusal(dir.path());
    assert!(error.text().contains("unreadable"), "{error}");
    let conn = Connection::open(open::file(dir.path())).unwrap();
    conn.execute("UPDATE specs SET spec = ?1 WHERE seq = (SELECT min(seq) FROM specs)", [spec]).unwrap();
    drop(conn);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.reader().counts().unwrap().total(), tasks.len() as u64);
}

#[test]
fn a_store_that_knew_no_joining_keeps_its_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let mut conn = Connection::open(open::file(dir.path())).unwrap();
    schema::migrate_to(&mut conn, 4).unwrap();
    let values = "INSERT INTO tokens VALUES ('000000000000000a', 'ci', zeroblob(32), 2, NULL, NULL, 5, NULL, NULL)";
    conn.execute(values, []).unwrap();
    drop(conn);
    let tokens = open(dir.path()).unwrap().reader().tokens().unwrap();
    let told: Vec<_> = tokens.iter().map(|token| (token.id, token.name.as_str(), token.enrolled.is_none())).collect();
    assert_eq!(told, [(domain::TokenId(10), "ci", true)]);
}
