//! Pages of an array's members.

use super::lists::pages;
use super::{commit, fill, samples::*, scribe::Scribe, stores};
use crate::Store;
use domain::*;

/// An array of 0 to 24 whose first eleven members are in all states, 14 and 20 are cancelled before their turn.
fn filled(store: &mut dyn Store) -> (Epoch, Scribe) {
    let (epoch, mut scribe) = fill(store, &[array(1, "0-24"), queued(2)]);
    for (rank, state) in (0..).zip(states()) {
        scribe.member(id(1), rank, |member| in_state(member, state));
    }
    for rank in [14, 20] {
        let cancelled = State::Final(Final::Cancelled { unconfirmed: None });
        scribe.member(id(1), rank, |member| Task { state: cancelled, ..member });
    }
    commit(store, epoch, &mut scribe);
    (epoch, scribe)
}

fn indexes(store: &dyn Store, filter: TaskFilter) -> Vec<u32> {
    let by_length = [1, 4, 100].map(|limit| pages(store, &filter, limit));
    assert!(by_length[0] == by_length[1] && by_length[1] == by_length[2], "pages of any length cover the same");
    by_length[0].iter().filter_map(|task| task.id.index()).collect()
}

fn of_array(states: &[StateWord]) -> TaskFilter {
    TaskFilter { array: Some(id(1)), states: states.to_vec(), ..TaskFilter::default() }
}

#[test]
fn all_members_are_listed_with_and_without_rows_highest_index_first() {
    for (name, mut store, _dir) in stores() {
        let (_, scribe) = filled(store.as_mut());
        let listed = pages(store.as_ref(), &of_array(&[]), 4);
        let all: Vec<u32> = listed.iter().filter_map(|task| task.id.index()).collect();
        assert_eq!(all, (0..25).rev().collect::<Vec<_>>(), "{name}");
        for task in listed {
            let whole = store.reader().task(task.id).unwrap().unwrap();
            assert_eq!((task.state.clone(), task.events), (whole.state, whole.events), "{name} {}", task.id);
            assert_eq!((task.result.len(), task.spec.run.clone()), (0, Run::Handler(HandlerRun::default())), "{name}");
            let row = scribe.rows.get(&task.id).map(|row| row.state.word());
            assert_eq!(row.unwrap_or(StateWord::Queued), task.state.word(), "{name} {}", task.id);
        }
    }
}

#[test]
fn filters_narrow_a_list_of_members() {
    use StateWord::*;
    for (name, mut store, _dir) in stores() {
        filled(store.as_mut());
        let by = |states: &[StateWord]| indexes(store.as_ref(), of_array(states));
        let computed = [24, 23, 22, 21, 19, 18, 17, 16, 15, 13, 12, 11];
        assert_eq!(by(&[Queued]), [&computed[..], &[0]].concat(), "{name}");
        assert_eq!(by(&[Queued, Failed]), [&computed[..], &[7, 0]].concat(), "{name}");
        assert_eq!((by(&[BackingOff]), by(&[Delayed]), by(&[Delayed, BackingOff])), (vec![1], vec![2], vec![2, 1]));
        assert_eq!(by(&[Running]), [4], "{name}");
        assert_eq!(by(&[Dispatched, Cancelling, Failed]), [7, 5, 3], "{name}");
        assert_eq!(by(&[Cancelled]), [20, 14, 10, 9], "{name}");
        assert_eq!(by(&[Completed, TimedOut]), [8, 6], "{name}");
        let on = |worker: &str, states: &[StateWord]| {
            indexes(store.as_ref(), TaskFilter { worker: Some(WorkerId::new(worker)), ..of_array(states) })
        };
        assert_eq!(on("w1", &[]), (0..11).rev().collect::<Vec<_>>(), "{name}: who has no row has no worker");
        assert_eq!((on("w1", &[Completed, Queued]), on("w9", &[])), (vec![6, 0], vec![]), "{name}");
        let named = TaskFilter { name: Some("x".into()), queue: Some("y".into()), ..of_array(&[Running]) };
        assert_eq!(indexes(store.as_ref(), named), [4], "{name}: names mean nothing here");
        for other in [id(2), id(3), id(1).member(0)] {
            let filter = TaskFilter { array: Some(other), ..TaskFilter::default() };
            assert_eq!(indexes(store.as_ref(), filter), [], "{name} {other}");
        }
    }
}

#[test]
fn members_of_a_closed_array_are_listed_as_cancelled() {
    use StateWord::*;
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = filled(store.as_mut());
        scribe.close(id(1), UnixMillis(5));
        commit(store.as_mut(), epoch, &mut scribe);
        let by = |states: &[StateWord]| indexes(store.as_ref(), of_array(states));
        assert_eq!(by(&[Queued, Delayed, BackingOff]), [], "{name}");
        let cancelled: Vec<u32> = (9..25).rev().chain([2, 1, 0]).collect();
        assert_eq!(by(&[Cancelled]), cancelled, "{name}");
        assert_eq!(by(&[]).len(), 25, "{name}");
    }
}
