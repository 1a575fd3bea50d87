//! What a page costs at most.

use super::*;
use crate::conformance::samples::*;
use crate::conformance::scribe::Scribe;
use crate::sqlite::list::{self, Bounds};
use domain::{PageRequest, StateWord, Task, TaskFilter, TaskId};

/// Every third of 300 tasks runs, every hundredth is called otherwise; 300 members of an array likewise.
fn filled(dir: &Path) -> SqliteStore {
    let mut store = open(dir).unwrap();
    let (epoch, mut scribe) = (store.begin().unwrap().epoch, Scribe::default());
    let every = states();
    for n in 0..300 {
        let mut task = in_state(queued(n), every[n as usize % every.len()].clone());
        if n % 100 == 7 {
            task = with_spec(task, |spec| spec.name = "rare".into());
        }
        scribe.insert(&task);
    }
    scribe.insert(&array(900, "0-299"));
    for n in 0..200 {
        scribe.member(id(900), n, |member| in_state(member, every[n as usize % every.len()].clone()));
    }
    store.commit(&scribe.batch(epoch)).unwrap();
    store
}

fn pages(store: &SqliteStore, filter: &TaskFilter, bounds: Bounds, limit: usize) -> (Vec<TaskId>, usize) {
    let (mut ids, mut after, mut n) = (Vec::new(), None, 0);
    loop {
        let request = PageRequest { filter: filter.clone(), after, limit };
        let page = list::list(store.conn().unwrap(), &request, bounds).unwrap();
        assert!(page.items.len() <= limit, "no more than asked");
        ids.extend(page.items.iter().map(|task: &Task| task.id));
        (after, n) = (page.next, n + 1);
        if after.is_none() {
            return (ids, n);
        }
    }
}

#[test]
fn a_page_looks_at_a_bounded_number_of_rows_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let mut filters = vec![TaskFilter::default()];
    filters.extend(StateWord::ALL.map(|word| TaskFilter { states: vec![word], ..TaskFilter::default() }));
    filters.push(TaskFilter {
        states: vec![StateWord::Queued, StateWord::Failed, StateWord::Delayed],
        ..TaskFilter::default()
    });
    for filter in filters.clone() {
        filters.push(TaskFilter { name: Some("rare".into()), ..filter.clone() });
        filters.push(TaskFilter { array: Some(id(900)), ..filter });
    }
    let generous = Bounds { walk: 10_000, indexed: 10_000, sorted: 10_000 };
    for filter in filters {
        let (whole, _) = pages(&store, &filter, generous, 1_000);
        for (walk, sorted) in [(1, 5), (7, 10_000), (64, 10)] {
            for limit in [9, 1_000] {
                let (ids, n) = pages(&store, &filter, Bounds { walk, indexed: walk, sorted }, limit);
                assert_eq!(ids, whole, "{filter:?} {walk} {sorted} {limit}");
                assert!(n >= ids.len() / (walk * 3).min(limit), "{n} pages for {} of {walk}", ids.len());
            }
        }
    }
}

#[test]
fn a_rare_name_costs_short_pages_not_a_long_walk() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let filter = TaskFilter { name: Some("rare".into()), ..TaskFilter::default() };
    let (ids, n) = pages(&store, &filter, Bounds { walk: 10, indexed: 10, sorted: 10 }, 100);
    assert_eq!((ids, n), (vec![id(207), id(107), id(7)], 31));
}
