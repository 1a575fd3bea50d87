//! Reigns, batches and what is loaded again.

use super::{fill, samples::*, stores};
use crate::{Failure, Reason, Store};
use domain::*;
use std::{collections::BTreeSet, sync::Arc};

fn insert(task: &Task) -> Write {
    Write::Insert { task: Arc::new(task.clone()), class: Arc::new(ClassKey::of(&task.spec)) }
}

/// Another id that has the row key of the `n`-th.
fn other_id_of_the_row(n: u64) -> TaskId {
    TaskId::from_uuid_bytes((u128::from_be_bytes(id(n).uuid_bytes()) ^ 1).to_be_bytes())
}

fn update(task: &Task) -> Write {
    Write::Update(Arc::new(task.clone()))
}

fn commit(store: &mut dyn Store, epoch: Epoch, writes: Vec<Write>) -> Result<Commit, Failure> {
    store.commit(&Batch { epoch, writes, tallies: Vec::new(), ready_seq: 0 })
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
            spec.run_at = Some(UnixMillis(1_800_000_000_000));
            spec.trace = Some(domain::TraceContext { trace: [3; 16], span: [4; 8], flags: 1 });
            spec.trace_state = "rojo=1,congo=2".into();
        }));
        let limits = ContainerLimits { memory_bytes: Some(1 << 40), cpu_millis: Some(500), pids: Some(7) };
        let container = Container {
            image: "busybox:1".into(),
            command: vec!["ls".into(), String::new()],
            env: [("K".to_owned(), "V".to_owned())].into(),
            working_dir: Some("/tmp".into()),
            limits,
        };
        let named = || ContainerName("c0ffee".into());
        let containers = [
            DockerRun::Run(container),
            DockerRun::Run(Container::default()),
            DockerRun::Start(named()),
            DockerRun::Stop(named()),
            DockerRun::Logs(named()),
        ];
        for (n, docker) in (92..).zip(containers) {
            tasks.push(with_spec(queued(n), |spec| spec.run = Run::Docker(docker)));
        }
        tasks.push(Task { retry_of: Some(id(3).member(7)), ..queued(91) });
        commit(store.as_mut(), epoch, tasks.iter().map(insert).collect()).unwrap();
        for task in &tasks {
            assert_eq!(store.reader().task(task.id).unwrap().as_ref(), Some(task), "{name}");
        }
    }
}

#[test]
fn an_update_replaces_all_but_the_spec_and_the_highest_ready_seq_stays() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let first = queued(1);
        let writes = vec![insert(&first), insert(&queued(8))];
        store.commit(&Batch { epoch, writes, tallies: Vec::new(), ready_seq: 9 }).unwrap();
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
fn only_what_runs_is_loaded_in_the_order_of_places() {
    for (name, mut store, _dir) in stores() {
        let tasks: Vec<Task> = (0..).zip(states()).map(|(n, state)| in_state(queued(20 - n), state)).collect();
        let (_, scribe) = fill(store.as_mut(), &tasks);
        let mut running: Vec<Task> = tasks.iter().filter(|task| task.state.live().is_some()).cloned().collect();
        running.reverse();
        let expected = Loaded { tasks: running, ready_seq: 21, counts: scribe.counts(), ..Loaded::default() };
        assert_eq!(store.load().unwrap(), expected, "{name}");
    }
}

#[test]
fn an_update_of_a_task_that_is_not_there_fails_the_batch() {
    for (name, mut store, _dir) in stores() {
        fill(store.as_mut(), &[queued(1)]);
        let mut same_row = queued(1);
        same_row.id = other_id_of_the_row(1);
        for missing in [same_row, queued(2), Task { id: id(1).member(0), ..queued(1) }] {
            let epoch = store.begin().unwrap().epoch;
            let refused = commit(store.as_mut(), epoch, vec![insert(&queued(3)), update(&missing)]);
            assert!(matches!(refused, Err(Failure::Definite(Reason::Other(_)))), "{name}: {refused:?}");
            store.begin().unwrap();
            assert_eq!(store.reader().task(id(3)), Ok(None), "{name}");
        }
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
        same_row.id = other_id_of_the_row(1);
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
        assert_eq!(store.load().unwrap().offered, BTreeSet::new(), "{name}");
    }
}

#[test]
fn facts_answer_by_id_and_by_key() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let task = with_spec(queued(1), |s| s.key = Some(IdempotencyKey { key: [1; 16], body: [2; 16] }));
        commit(store.as_mut(), epoch, vec![insert(&task)]).unwrap();
        let needs = [Need::Task(id(1)), Need::Key([1; 16]), Need::Task(id(2)), Need::Key([2; 16])];
        let found: Vec<Option<Found>> = store.facts(&needs).unwrap().into_iter().map(|f| f.found).collect();
        let there = Some(Found { task, row: true, array: None });
        assert_eq!(found, [there.clone(), there, None, None], "{name}");
    }
}

#[test]
fn an_earlier_reign_learns_after_a_read_that_it_is_over() {
    for (name, mut store, _dir) in stores() {
        let first = store.begin().unwrap().epoch;
        assert_eq!(store.fence(first), Ok(()), "{name}");
        let second = store.begin().unwrap().epoch;
        assert_eq!(store.fence(first), Err(Failure::Definite(Reason::StaleEpoch)), "{name}");
        assert_eq!(store.fence(second), Ok(()), "{name}");
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

#[test]
fn tallies_are_added_up_by_state_and_by_queue() {
    for (name, mut store, _dir) in stores() {
        let epoch = store.begin().unwrap().epoch;
        let class = |queue: &str, priority| {
            let task = with_spec(queued(0), |spec| (spec.queue, spec.priority) = (queue.into(), priority));
            Arc::new(ClassKey::of(&task.spec))
        };
        let mut count = |tallies: &[(&Arc<ClassKey>, StateWord, i64)]| {
            let tallies =
                tallies.iter().map(|(class, word, by)| Tally { class: Arc::clone(class), word: *word, by: *by });
            store.commit(&Batch { epoch, writes: Vec::new(), tallies: tallies.collect(), ready_seq: 0 })
        };
        use StateWord::*;
        let (a, low, b) = (class("a", 1), class("a", -1), class("b", 1));
        count(&[(&a, Queued, 5), (&low, Queued, 2), (&b, Queued, 1), (&b, Failed, 3)]).unwrap();
        // Equal keys are one class, whoever made them.
        count(&[(&class("a", 1), Queued, -4), (&a, Running, 4), (&b, Queued, -1)]).unwrap();
        let queues = store.reader().queues().unwrap();
        let numbers = |queue: usize| [Queued, Running, Failed].map(|word| queues[queue].counts.get(word));
        assert_eq!((numbers(0), numbers(1), queues.len()), ([3, 4, 0], [0, 0, 3], 2), "{name}");
        let counts = store.reader().counts().unwrap();
        assert_eq!((counts.get(Queued), counts.total(), store.load().unwrap().counts), (3, 10, counts), "{name}");
    }
}

#[test]
fn a_count_below_none_fails_the_batch() {
    for (name, mut store, _dir) in stores() {
        let (epoch, _) = fill(store.as_mut(), &[queued(1)]);
        let tally = Tally { class: Arc::new(ClassKey::of(&queued(1).spec)), word: StateWord::Queued, by: -2 };
        let batch = Batch { epoch, writes: vec![insert(&queued(2))], tallies: vec![tally], ready_seq: 0 };
        assert!(matches!(store.commit(&batch), Err(Failure::Definite(Reason::Other(_)))), "{name}");
        store.begin().unwrap();
        assert_eq!(store.reader().task(id(2)), Ok(None), "{name}");
    }
}

#[test]
fn paused_queues_and_draining_workers_stay_so_until_told_otherwise() {
    for (name, mut store, _dir) in stores() {
        let (epoch, _) = fill(store.as_mut(), &[queued(1)]);
        let pause = |queue: &str, on| Write::Paused { queue: queue.into(), on };
        let drain = |worker: &str, on| Write::Drained { worker: WorkerId::new(worker), on };
        let first = vec![pause("default", true), pause("empty", true), pause("empty", true), drain("w1", true)];
        commit(store.as_mut(), epoch, first).unwrap();
        commit(store.as_mut(), epoch, vec![pause("default", false), drain("w1", false), drain("w2", true)]).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.paused, BTreeSet::from(["empty".to_owned()]), "{name}");
        assert_eq!(loaded.draining, BTreeSet::from([WorkerId::new("w2")]), "{name}");
        let queues = store.reader().queues().unwrap();
        let seen: Vec<_> = queues.iter().map(|q| (q.name.as_str(), q.counts.total(), q.paused)).collect();
        assert_eq!(seen, [("default", 1, false), ("empty", 0, true)], "{name}");
    }
}
