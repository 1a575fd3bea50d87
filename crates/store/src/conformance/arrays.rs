//! Arrays: one row until members run, members with and without rows, entries.

use super::{commit, fill, samples::*, scribe::Scribe, stores};
use crate::Store;
use domain::*;
use std::sync::Arc;

fn fact(store: &mut dyn Store, id: TaskId) -> Option<Found> {
    store.facts(&[Need::Task(id)]).unwrap().remove(0).found
}

fn with_entries(n: u64, ranges: &str) -> (Task, Vec<Arc<str>>) {
    let array = with_spec(array(n, ranges), |spec| spec.array.as_mut().unwrap().entries = true);
    let entries = (0..array.members()).map(|rank| format!("entry {rank}").into()).collect();
    (array, entries)
}

#[test]
fn an_array_comes_back_with_its_books_in_every_state() {
    for (name, mut store, _dir) in stores() {
        let begun = Some(Stamp { event: 2, at: UnixMillis(77) });
        let states = [
            (State::Pending(Wait::Queued), None, None),
            (State::Pending(Wait::Delayed(due(5))), None, None),
            (State::Begun { cancelling: false }, begun, None),
            (State::Begun { cancelling: true }, begun, Some(UnixMillis(0))),
            (State::Final(Final::Cancelled { unconfirmed: None }), None, Some(UnixMillis(9))),
        ];
        let arrays = (1..).zip(states).map(|(n, (state, begun, closed))| {
            let mut array = with_spec(array(n, "0,7-9,999999999"), |s| s.array.as_mut().unwrap().entries = n % 2 == 0);
            (array.ready_seq, array.state) = (array.ready_seq + 2, state);
            let books = array.array.as_mut().unwrap();
            (books.next, books.early, books.begun, books.closed) = (2, 1, begun, closed);
            books.counts.change(StateWord::Queued, -5);
            StateWord::ALL.into_iter().for_each(|word| books.counts.add(word, u64::from(word.code())));
            array
        });
        let arrays: Vec<Task> = arrays.collect();
        fill(store.as_mut(), &arrays);
        for array in arrays {
            let expected = Some(Found { task: array.clone(), row: true, array: None });
            assert_eq!(fact(store.as_mut(), array.id), expected, "{name}");
        }
    }
}

#[test]
fn a_member_without_a_row_is_computed_and_others_are_not_there() {
    for (name, mut store, _dir) in stores() {
        let delayed = Task { state: State::Pending(Wait::Delayed(due(5))), ..array(2, "1-3") };
        fill(store.as_mut(), &[array(1, "2-4,9"), delayed.clone(), queued(3)]);
        for array in [array(1, "2-4,9"), delayed] {
            let computed = array.member(3, None).unwrap();
            let expected = Some(Found { task: computed.clone(), row: false, array: Some(array) });
            assert_eq!(fact(store.as_mut(), computed.id), expected, "{name}");
            assert_eq!(store.reader().task(computed.id), Ok(Some(computed)), "{name}");
        }
        for nothing in [id(1).member(1), id(1).member(5), id(3).member(0), id(4).member(2)] {
            assert_eq!(fact(store.as_mut(), nothing), None, "{name} {nothing}");
            assert_eq!(store.reader().task(nothing), Ok(None), "{name} {nothing}");
        }
    }
}

#[test]
fn a_member_has_a_row_once_something_happened_to_it() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(1, "0-20")]);
        for (rank, state) in (0..).zip(states()) {
            scribe.member(id(1), rank, |member| in_state(member, state));
            commit(store.as_mut(), epoch, &mut scribe);
        }
        let cancelled = State::Final(Final::Cancelled { unconfirmed: None });
        let early = scribe.member(id(1), 15, |member| in_state(member, cancelled));
        commit(store.as_mut(), epoch, &mut scribe);
        let array = Some(scribe.rows[&id(1)].clone());
        for (id, task) in scribe.rows.iter().filter(|(id, _)| id.index().is_some()) {
            let expected = Found { task: task.clone(), row: true, array: array.clone() };
            assert_eq!(fact(store.as_mut(), *id), Some(expected), "{name}");
        }
        assert!(scribe.rows[&early].state.is_final(), "{name}");
        let loaded = store.load().unwrap();
        let running: Vec<u32> = loaded.tasks.iter().filter_map(|task| task.id.index()).collect();
        assert_eq!((running, loaded.arrays), (vec![3, 4, 5], array.into_iter().collect()), "{name}: by place");
        assert_eq!(store.reader().counts().unwrap(), scribe.counts(), "{name}");
        assert_eq!(loaded.tasks.len(), 3, "{name}: the array itself has no attempt");
    }
}

#[test]
fn a_closed_array_takes_along_all_members_that_wait() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(1, "0-30"), array(2, "0-3")]);
        for (rank, state) in (0..).zip(states()) {
            scribe.member(id(1), rank, |member| in_state(member, state));
        }
        scribe.member(id(2), 0, |member| in_state(member, State::Pending(Wait::Queued)));
        commit(store.as_mut(), epoch, &mut scribe);
        scribe.close(id(1), UnixMillis(4_711));
        commit(store.as_mut(), epoch, &mut scribe);
        for (id, task) in &scribe.rows {
            assert_eq!(store.reader().task(*id).unwrap().as_ref(), Some(task), "{name}");
        }
        let rest = store.reader().task(id(1).member(30)).unwrap().unwrap();
        assert_eq!((rest.state.word(), rest.updated), (StateWord::Cancelled, UnixMillis(4_711)), "{name}");
        assert_eq!(store.reader().counts().unwrap(), scribe.counts(), "{name}");
        let waiting = store.ahead(&Want::Waiting { after: None, limit: 9 }).unwrap();
        assert_eq!(waiting, Ahead::Waiting { after: None, found: Vec::new(), more: false }, "{name}");
        assert_eq!(store.reader().failed_members(id(1)), Ok(vec![7, 8]), "{name}");
        assert_eq!(store.reader().failed_members(id(1).member(7)), Ok(vec![]), "{name}");
    }
}

#[test]
fn entries_are_read_by_rank_and_come_with_members() {
    for (name, mut store, _dir) in stores() {
        let (array, entries) = with_entries(1, "1-4,7-2505");
        let epoch = store.begin().unwrap().epoch;
        let mut scribe = Scribe::default();
        scribe.insert_with_entries(&array, &entries);
        commit(store.as_mut(), epoch, &mut scribe);
        scribe.member(id(1), 4, |member| in_state(member, State::Running(attempt(1, None))));
        commit(store.as_mut(), epoch, &mut scribe);
        let reader = store.reader();
        let asked = reader.entries(id(1), &[2_000, 0, 3, 3, 9_999]).unwrap();
        let wanted: Vec<Arc<str>> = [2_000, 0, 3, 3].map(|rank: usize| entries[rank].clone()).to_vec();
        assert_eq!(asked, wanted, "{name}");
        for (index, rank) in [(7, 4), (1, 0), (2_505, 2_502)] {
            let member = reader.task(id(1).member(index)).unwrap().unwrap();
            assert_eq!(member.entry.as_ref(), Some(&entries[rank]), "{name}");
        }
        assert_eq!(store.load().unwrap().tasks[0].entry, Some(entries[4].clone()), "{name}");
        assert_eq!(reader.entries(id(2), &[0]), Ok(vec![]), "{name}");
    }
}

#[test]
fn what_belongs_to_members_is_kept_apart() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(1, "0-3")]);
        let ids = [id(1), id(1).member(0), id(1).member(1)];
        for rank in 0..2 {
            scribe.member(id(1), rank, |mut member| {
                member = in_state(member, State::Final(Final::Completed));
                member.result = vec![rank as u8; 3];
                member
            });
        }
        for (n, task) in (1..).zip(ids) {
            let stamp = Stamp { event: 4, at: UnixMillis(n) };
            let progress = Progress { percent: n as u8, message: String::new() };
            scribe.write(Write::Progressed { task, stamp, attempt: 1, progress });
            scribe.write(Write::Tail { after: n as u64, frames: vec![frame(task, 1, 1)] });
        }
        commit(store.as_mut(), epoch, &mut scribe);
        let reader = store.reader();
        for (n, task) in (1..).zip(ids) {
            let times: Vec<i64> = reader.progress(task, 0).unwrap().iter().map(|event| event.stamp.at.0).collect();
            assert_eq!(times, [n], "{name} {task}");
            assert_eq!(reader.tails(task), Ok(vec![(n as u64, frame(task, 1, 1))]), "{name} {task}");
            assert_eq!(reader.task(task).unwrap().as_ref(), scribe.rows.get(&task), "{name} {task}");
        }
    }
}

#[test]
fn a_member_is_named_by_its_index_behind_its_arrays_name() {
    for (name, mut store, _dir) in stores() {
        fill(store.as_mut(), &[array(1, "5,17"), queued(2), array(3, "17")]);
        let text = id(1).to_string();
        let named = |text: &str| store.reader().named(text, 5).unwrap();
        assert_eq!(named("last.17"), [id(3).member(17)], "{name}");
        assert_eq!(named(&format!("{text}.5")), [id(1).member(5)], "{name}");
        assert_eq!(named(&format!("{}.17", &text[24..])), [id(1).member(17)], "{name}: by suffix");
        assert_eq!(named(&format!("{}.17", &text[..8])), [id(3).member(17), id(1).member(17)], "{name}");
        for nothing in
            ["last.5", "last.", "last.017", "last.17.1", ".17", &format!("{text}.6"), &format!("{}.5", id(2))]
        {
            assert_eq!(named(nothing), [], "{name} {nothing}");
        }
    }
}
