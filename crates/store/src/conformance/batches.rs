//! Reigns, batches and what is loaded again.

use super::{samples::*, stores};
use crate::{Failure, Reason, Store};
use domain::*;
use std::{collections::BTreeSet, sync::Arc};

fn insert(task: &Task) -> Write {
    Write::Insert(Arc::new(task.clone()))
}

fn update(task: &Task) -> Write {
    Write::Update(Arc::new(task.clone()))
}

fn commit(store: &mut dyn Store, epoch: Epoch, writes: Vec<Write>) -> Result<Commit, Failure> {
    store.commit(&Batch { epoch, writes })
}

#[test]
fn a_task_comes_back_as_it_was_written_in_every_state() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let mut tasks: Vec<Task> = (0..).zip(states()).map(|(n, state)| in_state(queued(n), state)).collect();
        for (n, ending) in (50..).zip(endings()) {
            let mut task = in_state(queued(n), State::Final(Final::Completed));
            task.ended = vec![attempt(1, Some(ending))];
            tasks.push(task);
        }
        let shell = ShellRun {
            command: "ls".into(),
            args: vec!["a b".into()],
            working_dir: Some("/tmp".into()),
            env: [("K".to_owned(), "V".to_owned())].into(),
            stdin: b"in\0".to_vec(),
        };
        tasks.push(with_spec(queued(90), |spec| {
            spec.run = Run::Shell(shell);
            spec.timeout = None;
            spec.worker = Some(WorkerId::new("w7"));
            spec.key = Some(IdempotencyKey { key: [7; 16], body: [8; 16] });
        }));
        commit(store.as_mut(), epoch, tasks.iter().map(insert).collect()).unwrap();
        for task in &tasks {
            assert_eq!(store.reader().task(task.id).unwrap().as_ref(), Some(task), "{name}");
        }
        let loaded = store.load().unwrap();
        let unfinished: Vec<&Task> = tasks.iter().filter(|t| !t.state.is_final()).collect();
        assert_eq!(loaded.tasks.iter().collect::<Vec<_>>(), unfinished, "{name}: in order of ready_seq");
        assert_eq!(loaded.ready_seq, 91, "{name}");
    }
}

#[test]
fn an_update_replaces_all_but_the_spec_and_the_highest_ready_seq_stays() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let first = queued(1);
        commit(store.as_mut(), epoch, vec![insert(&first), insert(&queued(8))]).unwrap();
        for state in states() {
            let next = in_state(queued(1), state);
            commit(store.as_mut(), epoch, vec![update(&next)]).unwrap();
            assert_eq!(store.reader().task(first.id).unwrap(), Some(next), "{name}");
        }
        let done = in_state(queued(8), State::Final(Final::Completed));
        commit(store.as_mut(), epoch, vec![update(&done)]).unwrap();
        assert_eq!(store.load().unwrap(), Loaded { ready_seq: 9, ..Loaded::default() }, "{name}");
    }
}

#[test]
fn many_changes_of_a_task_in_one_batch_leave_the_last() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let states = states();
        let tasks: Vec<Task> = states.into_iter().map(|state| in_state(queued(1), state)).collect();
        let mut writes = vec![insert(&queued(1)), insert(&queued(2))];
        writes.extend(tasks.iter().map(update));
        commit(store.as_mut(), epoch, writes).unwrap();
        assert_eq!(store.reader().task(id(1)).unwrap().as_ref(), tasks.last(), "{name}");
        let counts = store.reader().counts().unwrap();
        let total: u64 = counts.iter().map(|(_, n)| n).sum();
        assert_eq!(total, 2, "{name}: {counts:?}");
        assert!(counts.contains(&(StateWord::Queued, 1)) && counts.contains(&(StateWord::Cancelled, 1)), "{name}");
    }
}

#[test]
fn a_new_reign_fences_the_old_one() {
    for (name, mut store, _dir) in stores() {
        let old = store.begin().unwrap();
        let number = commit(store.as_mut(), old.epoch, vec![insert(&queued(1))]).unwrap();
        let new = store.begin().unwrap();
        assert_eq!((&new.store_id, new.commit), (&old.store_id, number), "{name}");
        assert!(new.epoch > old.epoch, "{name}");
        for writes in [vec![insert(&queued(2))], Vec::new()] {
            let refused = commit(store.as_mut(), old.epoch, writes);
            assert_eq!(refused, Err(Failure::Definite(Reason::StaleEpoch)), "{name}");
        }
        assert_eq!(store.reader().task(id(2)).unwrap(), None, "{name}");
        assert_eq!(commit(store.as_mut(), new.epoch, Vec::new()), Ok(Commit(number.0 + 1)), "{name}");
    }
}

#[test]
fn a_clash_of_row_key_or_idempotency_key_refuses_the_whole_batch() {
    let keyed = |n| with_spec(queued(n), |s| s.key = Some(IdempotencyKey { key: [1; 16], body: [n as u8; 16] }));
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        commit(store.as_mut(), epoch, vec![insert(&keyed(1))]).unwrap();
        let mut same_row = queued(1);
        same_row.id = TaskId::from_bytes((u128::from_be_bytes(id(1).to_bytes()) ^ 1).to_be_bytes());
        let clashes = [vec![insert(&same_row)], vec![insert(&keyed(3))], vec![insert(&queued(4)), insert(&queued(4))]];
        for clash in clashes {
            let mut writes = vec![insert(&queued(2)), Write::Offered(["new".to_owned()].into())];
            writes.extend(clash);
            let refused = commit(store.as_mut(), epoch, writes);
            assert_eq!(refused, Err(Failure::Definite(Reason::Clash)), "{name}");
        }
        assert_eq!(store.reader().task(id(2)).unwrap(), None, "{name}");
        assert_eq!(store.reader().task(same_row.id).unwrap(), None, "{name}: another id of the same row");
        commit(store.as_mut(), epoch, vec![insert(&queued(2))]).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!((loaded.tasks.len(), loaded.offered), (2, BTreeSet::new()), "{name}");
        assert_eq!(store.reader().counts().unwrap().first(), Some(&(StateWord::Queued, 2)), "{name}");
    }
}

#[test]
fn facts_answer_by_id_and_by_key() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let task = with_spec(queued(1), |s| s.key = Some(IdempotencyKey { key: [1; 16], body: [2; 16] }));
        commit(store.as_mut(), epoch, vec![insert(&task)]).unwrap();
        let needs = [Need::Task(id(1)), Need::Key([1; 16]), Need::Task(id(2)), Need::Key([2; 16])];
        let tasks: Vec<Option<Task>> = store.facts(&needs).unwrap().into_iter().map(|f| f.task).collect();
        assert_eq!(tasks, [Some(task.clone()), Some(task), None, None], "{name}");
    }
}

#[test]
fn offered_handlers_are_remembered_once() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let offered = |names: &[&str]| Write::Offered(names.iter().map(|n| (*n).to_owned()).collect());
        commit(store.as_mut(), epoch, vec![offered(&["a", "b"]), offered(&["b", "c"])]).unwrap();
        let names: Vec<String> = store.load().unwrap().offered.into_iter().collect();
        assert_eq!(names, ["a", "b", "c"], "{name}");
    }
}
