//! Pages of tasks. Pages may be short as long as they say where the next one begins.

use super::{commit, fill, samples::*, stores};
use crate::Store;
use domain::*;

/// All pages, one after the other.
pub fn pages(store: &dyn Store, filter: &TaskFilter, limit: usize) -> Vec<Task> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.reader().list(&PageRequest { filter: filter.clone(), after, limit }).unwrap();
        assert!(page.items.len() <= limit && (page.next.is_none() || page.next != after), "{page:?}");
        seen.extend(page.items);
        assert!(seen.len() < 10_000, "pages come to an end");
        after = page.next;
        if after.is_none() {
            return seen;
        }
    }
}

fn ids(store: &dyn Store, filter: &TaskFilter) -> Vec<TaskId> {
    pages(store, filter, 3).into_iter().map(|task| task.id).collect()
}

#[test]
fn pages_are_newest_first_and_cover_everything_once() {
    for (name, mut store, _dir) in stores() {
        let tasks: Vec<Task> = (0..25).map(queued).collect();
        fill(store.as_mut(), &tasks);
        let newest_first: Vec<TaskId> = (0..25).rev().map(id).collect();
        for limit in [1, 5, 10, 25, 26] {
            let seen: Vec<TaskId> =
                pages(store.as_ref(), &TaskFilter::default(), limit).iter().map(|task| task.id).collect();
            assert_eq!(seen, newest_first, "{name} {limit}");
        }
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
fn a_workers_tasks_are_those_that_it_had_and_if_asked_for_those_that_wait_for_it() {
    for (name, mut store, _dir) in stores() {
        let pinned = |n, worker: &str| with_spec(queued(n), |spec| spec.worker = Some(WorkerId::new(worker)));
        let had = in_state(pinned(4, "elsewhere"), State::Running(attempt(1, None)));
        let pinned_array = |n| with_spec(array(n, "1-2"), |spec| spec.worker = Some(WorkerId::new("there")));
        let tasks = [queued(1), pinned(2, "there"), pinned(3, "elsewhere"), had.clone(), pinned_array(5)];
        fill(store.as_mut(), &tasks);
        let on = |worker: &WorkerId| TaskFilter { worker: Some(worker.clone()), ..TaskFilter::default() };
        let there = WorkerId::new("there");
        assert_eq!(ids(store.as_ref(), &on(&there)), [], "{name}");
        let waiting = TaskFilter { waiting: true, ..on(&there) };
        assert_eq!(ids(store.as_ref(), &waiting), [id(5), id(2)], "{name}");
        let its = had.worker().unwrap();
        assert_eq!(ids(store.as_ref(), &on(its)), [id(4)], "{name}");
    }
}

#[test]
fn what_waits_in_two_lines_is_listed_once() {
    for (name, mut store, _dir) in stores() {
        let patient = |n| with_spec(queued(n), |spec| spec.start_within = Some(std::time::Duration::from_secs(1)));
        fill(store.as_mut(), &[patient(1), queued(2), patient(3)]);
        let states = vec![StateWord::Queued, StateWord::Delayed, StateWord::BackingOff];
        let pending = TaskFilter { states, ..TaskFilter::default() };
        assert_eq!(ids(store.as_ref(), &pending), [id(3), id(2), id(1)], "{name}");
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
            let mut found = ids(store.as_ref(), &filter);
            found.reverse();
            found.into_iter().map(|found| (0..99).find(|n| id(*n) == found).unwrap()).collect::<Vec<u64>>()
        };
        use StateWord::*;
        assert_eq!(numbers(by(&[Queued])), [0, 40], "{name}");
        assert_eq!((numbers(by(&[BackingOff])), numbers(by(&[Delayed]))), (vec![1], vec![2]), "{name}");
        assert_eq!(numbers(by(&[Queued, BackingOff, Running, Failed])), [0, 1, 4, 7, 40], "{name}");
        assert_eq!(numbers(by(&StateWord::ALL)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40], "{name}");
        assert_eq!(numbers(by(&[Dispatched, Cancelling])), [3, 5], "{name}");
        assert_eq!(numbers(by(&[Failed, Cancelled])), [7, 9, 10], "{name}");
        assert_eq!(numbers(by(&[Completed, Running])), [4, 6], "{name}");
        let name_1 = TaskFilter { name: Some("name-1".into()), ..by(&[Failed, TimedOut]) };
        assert_eq!(numbers(name_1), [7], "{name}");
        let queued = TaskFilter { queue: Some("default".into()), ..by(&[Queued, Running]) };
        assert_eq!(numbers(queued), [0, 4], "{name}");
        let other = TaskFilter { queue: Some("other".into()), ..TaskFilter::default() };
        assert_eq!(numbers(other), [40], "{name}");
        let worker = |w: &str| TaskFilter { worker: Some(WorkerId::new(w)), ..by(&[Running]) };
        assert_eq!((numbers(worker("w1")), numbers(worker("w9"))), (vec![4], vec![]), "{name}");
        let unheard_of = TaskFilter { name: Some("unheard of".into()), ..TaskFilter::default() };
        assert_eq!(numbers(unheard_of), [], "{name}");
    }
}

#[test]
fn an_array_is_one_item_under_its_aggregate_state() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(1, "1-5"), array(2, "1-5"), queued(3)]);
        scribe.member(id(2), 0, |member| in_state(member, State::Running(attempt(3, None))));
        commit(store.as_mut(), epoch, &mut scribe);
        let by = |states: &[StateWord]| {
            ids(store.as_ref(), &TaskFilter { states: states.to_vec(), ..TaskFilter::default() })
        };
        assert_eq!(by(&[]), [id(3), id(2), id(1)], "{name}");
        assert_eq!(by(&[StateWord::Queued]), [id(3), id(1)], "{name}");
        assert_eq!(by(&[StateWord::Running]), [id(2)], "{name}: members aren't among the tasks");
        let shown = pages(store.as_ref(), &TaskFilter::default(), 3).into_iter().find(|task| task.id == id(2));
        assert_eq!(shown.unwrap().array, scribe.rows[&id(2)].array, "{name}: with its books");
    }
}
