//! What readers get.

use super::{samples::*, stores};
use crate::Store;
use domain::*;
use std::sync::Arc;

fn fill(store: &mut dyn Store, tasks: &[Task]) -> Epoch {
    let epoch = store.begin().unwrap().epoch;
    let writes = tasks.iter().map(|task| Write::Insert(Arc::new(task.clone()))).collect();
    store.commit(&Batch { epoch, writes }).unwrap();
    epoch
}

fn ids(store: &dyn Store, filter: TaskFilter) -> Vec<TaskId> {
    let request = PageRequest { filter, after: None, limit: 1_000 };
    store.reader().list(&request).unwrap().items.into_iter().map(|task| task.id).collect()
}

#[test]
fn pages_are_newest_first_and_cover_everything_once() {
    for (name, mut store, _dir) in stores() {
        let tasks: Vec<Task> = (0..25).map(queued).collect();
        fill(store.as_mut(), &tasks);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let request = PageRequest { filter: TaskFilter::default(), after, limit: 10 };
            let page = store.reader().list(&request).unwrap();
            seen.extend(page.items.into_iter().map(|task| task.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let newest_first: Vec<TaskId> = (0..25).rev().map(id).collect();
        assert_eq!(seen, newest_first, "{name}");
    }
}

#[test]
fn a_list_leaves_out_payload_and_result() {
    for (name, mut store, _dir) in stores() {
        fill(store.as_mut(), &[in_state(queued(1), State::Final(Final::Completed))]);
        let request = PageRequest { filter: TaskFilter::default(), after: None, limit: 1 };
        let page = store.reader().list(&request).unwrap();
        let shown = page.items.first().unwrap();
        assert_eq!(shown.spec.run, Run::Handler(HandlerRun::default()), "{name}");
        assert_eq!((shown.result.as_slice(), shown.events), ([].as_slice(), 20), "{name}");
    }
}

#[test]
fn filters_narrow_a_list() {
    for (name, mut store, _dir) in stores() {
        let mut tasks: Vec<Task> = (0..).zip(states()).map(|(n, state)| in_state(queued(n), state)).collect();
        tasks.push(with_spec(queued(40), |spec| spec.queue = "other".into()));
        fill(store.as_mut(), &tasks);
        let by = |states: &[StateWord]| TaskFilter { states: states.to_vec(), ..TaskFilter::default() };
        let numbers = |filter| {
            let mut found = ids(store.as_ref(), filter);
            found.reverse();
            found.into_iter().map(|found| (0..99).find(|n| id(*n) == found).unwrap()).collect::<Vec<u64>>()
        };
        use StateWord::*;
        assert_eq!(numbers(by(&[Queued])), [0, 40], "{name}");
        assert_eq!(numbers(by(&[BackingOff])), [1], "{name}");
        assert_eq!(numbers(by(&[Queued, BackingOff, Running, Failed])), [0, 1, 3, 6, 40], "{name}");
        assert_eq!(numbers(by(&StateWord::ALL)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 40], "{name}");
        assert_eq!(numbers(by(&[Dispatched, Cancelling])), [2, 4], "{name}");
        assert_eq!(numbers(by(&[Failed, Cancelled])), [6, 8, 9], "{name}");
        assert_eq!(numbers(by(&[Completed, Running])), [3, 5], "{name}");
        let name_1 = TaskFilter { name: Some("name-1".into()), ..by(&[Failed, TimedOut]) };
        assert_eq!(numbers(name_1), [7], "{name}");
        let queued = TaskFilter { queue: Some("default".into()), ..by(&[Queued, Running]) };
        assert_eq!(numbers(queued), [0, 3], "{name}");
        let other = TaskFilter { queue: Some("other".into()), ..TaskFilter::default() };
        assert_eq!(numbers(other), [40], "{name}");
        let worker = |w: &str| TaskFilter { worker: Some(WorkerId::new(w)), ..by(&[Running]) };
        assert_eq!((numbers(worker("w1")), numbers(worker("w9"))), (vec![3], vec![]), "{name}");
    }
}

#[test]
fn tasks_are_found_by_the_newest_by_prefix_and_by_suffix() {
    for (name, mut store, _dir) in stores() {
        assert_eq!(store.reader().named("last", 5), Ok(vec![]), "{name}");
        fill(store.as_mut(), &(0..30).map(queued).collect::<Vec<_>>());
        let named = |text: &str| store.reader().named(text, 5).unwrap();
        assert_eq!(named("last"), [id(29)], "{name}");
        for n in 0..30 {
            let text = id(n).to_string();
            assert_eq!(named(&text), [id(n)], "{name}");
            assert_eq!(named(&text[..28].to_uppercase()), [id(n)], "{name}");
            assert_eq!(named(&text[24..]), [id(n)], "{name}");
        }
        assert_eq!(named("0199a0b2-6d1c"), [id(2), id(1), id(0)], "{name}");
        assert_eq!(named("0199").len(), 5, "{name}: no more than asked");
        for nothing in ["", "-", "x", "0299", "last ", "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88-"] {
            assert_eq!(named(nothing), [], "{name} {nothing:?}");
        }
    }
}

#[test]
fn progress_and_tails_come_back_in_order() {
    for (name, mut store, _dir) in stores() {
        let epoch = fill(store.as_mut(), &[queued(1), queued(2)]);
        let said = |event, percent| Write::Progressed {
            task: id(1),
            stamp: Stamp { event, at: UnixMillis(event as i64) },
            attempt: 2,
            progress: Progress { percent, message: format!("at {percent}") },
        };
        let tail = |no, numbers: std::ops::RangeInclusive<u64>| Write::Tail {
            after: 4,
            frames: numbers.map(|number| frame(id(1), no, number)).collect(),
        };
        let writes = vec![said(5, 50), tail(2, 4..=6), said(4, 10), tail(1, 1..=3)];
        store.commit(&Batch { epoch, writes }).unwrap();
        let reader = store.reader();
        let events = reader.progress(id(1), 0).unwrap();
        assert_eq!(events.iter().map(|e| e.stamp.event).collect::<Vec<_>>(), [4, 5], "{name}");
        let last = Progress { percent: 50, message: "at 50".into() };
        let (stamp, kind) = (Stamp { event: 5, at: UnixMillis(5) }, EventKind::Progressed(last));
        assert_eq!(reader.progress(id(1), 4), Ok(vec![Event { task: id(1), stamp, attempt: 2, kind }]), "{name}");
        let expected = [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6)].map(|(no, n)| (4, frame(id(1), no, n)));
        assert_eq!(reader.tails(id(1)).unwrap(), expected, "{name}");
        assert_eq!((reader.progress(id(2), 0), reader.tails(id(2))), (Ok(vec![]), Ok(vec![])), "{name}");
    }
}

#[test]
fn only_queued_tasks_of_the_same_queue_and_priority_are_ahead() {
    for (name, mut store, _dir) in stores() {
        let mut tasks: Vec<Task> = (0..10).map(queued).collect();
        tasks.push(in_state(queued(11), State::Running(attempt(3, None))));
        tasks.push(with_spec(queued(12), |spec| spec.queue = "other".into()));
        tasks.push(with_spec(queued(13), |spec| spec.priority = 5));
        fill(store.as_mut(), &tasks);
        let ahead = |limit| store.reader().ahead(&queued(20), limit).unwrap();
        assert_eq!((ahead(100), ahead(4)), (10, 4), "{name}");
        assert_eq!(store.reader().ahead(&queued(0), 100), Ok(0), "{name}");
    }
}
