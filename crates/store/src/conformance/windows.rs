//! Windows: what the engine reads ahead, from any place on.

use super::{commit, fill, samples, samples::*, stores};
use crate::Store;
use domain::*;
use std::sync::Arc;

/// Tasks of one class.
fn queued(n: u64) -> Task {
    alike(samples::queued(n))
}

fn array(n: u64, ranges: &str) -> Task {
    alike(samples::array(n, ranges))
}

/// Ids of all pages of a class's backlog, one after the other.
fn backlog(store: &mut dyn Store, class: &Arc<ClassKey>, limit: usize) -> Vec<TaskId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let want = Want::Backlog { class: Arc::clone(class), after, limit };
        let Ahead::Backlog { class: of, after: behind, found, more } = store.ahead(&want).unwrap() else { panic!() };
        assert_eq!((&of, behind), (class, after), "the question is repeated");
        assert!(found.len() <= limit && (!more || found.len() == limit), "{} of {limit}, {more}", found.len());
        assert!(ids.len() < 100, "each is found once");
        for found in found {
            assert!(found.row && found.array.is_some() == found.task.id.index().is_some());
            after = Some(found.task.place());
            ids.push(found.task.id);
        }
        if !more {
            return ids;
        }
    }
}

fn class(task: &Task) -> Arc<ClassKey> {
    Arc::new(ClassKey::of(&task.spec))
}

#[test]
fn a_backlog_holds_what_is_queued_in_the_order_of_places() {
    for (name, mut store, _dir) in stores() {
        let mut tasks: Vec<Task> = (0..).zip(states()).map(|(n, state)| in_state(queued(n), state)).collect();
        // Places are the engine's: neither ids nor times.
        tasks.extend((20..26).map(|n| Task { ready_seq: 100 - n, ..queued(n) }));
        tasks.push(with_spec(queued(30), |spec| spec.worker = Some(WorkerId::new("w1"))));
        fill(store.as_mut(), &tasks);
        let expected: Vec<TaskId> = [0, 25, 24, 23, 22, 21, 20].map(id).to_vec();
        for limit in 1..9 {
            assert_eq!(backlog(store.as_mut(), &class(&queued(0)), limit), expected, "{name} {limit}");
        }
        assert_eq!(backlog(store.as_mut(), &class(tasks.last().unwrap()), 3), [id(30)], "{name}");
        let unheard_of = class(&with_spec(queued(0), |spec| spec.queue = "unheard of".into()));
        assert_eq!(backlog(store.as_mut(), &unheard_of, 3), [], "{name}");
    }
}

#[test]
fn tasks_of_equal_place_are_each_found_once_whatever_the_window() {
    for (name, mut store, _dir) in stores() {
        let mut tasks: Vec<Task> = (0..7).map(|n| Task { ready_seq: 4, ..queued(n) }).collect();
        tasks.extend([Task { ready_seq: 3, ..queued(8) }, Task { ready_seq: 5, ..queued(7) }]);
        // Members with rows wait among them, behind their array's id and before the next one's.
        tasks.push(Task { ready_seq: 4, ..array(10, "1-9") });
        let (epoch, mut scribe) = fill(store.as_mut(), &tasks);
        for rank in [0, 1, 2] {
            let place = if rank < 2 { 4 } else { 5 };
            scribe.member(id(10), rank, |member| Task {
                ready_seq: place,
                ..in_state(member, State::Pending(Wait::Queued))
            });
        }
        commit(store.as_mut(), epoch, &mut scribe);
        let mut expected: Vec<TaskId> = [8].into_iter().chain(0..7).map(id).collect();
        expected.extend([id(10).member(1), id(10).member(2), id(7), id(10).member(3), id(10)]);
        for limit in 1..15 {
            assert_eq!(backlog(store.as_mut(), &class(&queued(0)), limit), expected, "{name} {limit}");
        }
    }
}

#[test]
fn an_array_waits_in_the_backlog_while_members_are_left_to_begin() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(1, "0-2"), queued(2), array(9, "0-5")]);
        let class = class(&queued(0));
        assert_eq!(backlog(store.as_mut(), &class, 2), [id(1), id(2), id(9)], "{name}");
        let ran = |member| in_state(member, State::Running(attempt(1, None)));
        scribe.member(id(1), 0, ran);
        commit(store.as_mut(), epoch, &mut scribe);
        assert_eq!(backlog(store.as_mut(), &class, 2), [id(1), id(2), id(9)], "{name}: the id decides equal places");
        scribe.member(id(1), 1, ran);
        commit(store.as_mut(), epoch, &mut scribe);
        assert_eq!(backlog(store.as_mut(), &class, 2), [id(2), id(1), id(9)], "{name}: its next member's place");
        scribe.member(id(1), 2, ran);
        commit(store.as_mut(), epoch, &mut scribe);
        assert_eq!(backlog(store.as_mut(), &class, 2), [id(2), id(9)], "{name}: no member is left");
        scribe.close(id(9), UnixMillis(1));
        commit(store.as_mut(), epoch, &mut scribe);
        assert_eq!(backlog(store.as_mut(), &class, 2), [id(2)], "{name}: it is closed");
    }
}

#[test]
fn what_waits_for_time_comes_the_earliest_due_first() {
    for (name, mut store, _dir) in stores() {
        let backs_off = |n, at| in_state(queued(n), State::Pending(Wait::BackingOff(due(at))));
        let delayed = |n, at| in_state(queued(n), State::Pending(Wait::Delayed(due(at))));
        let mut tasks =
            vec![backs_off(1, 50), delayed(2, 40), backs_off(3, 50), delayed(4, 50), queued(5), delayed(6, -1)];
        tasks.push(Task { state: State::Pending(Wait::Delayed(due(45))), ..array(7, "1-3") });
        tasks.push(array(8, "1-3"));
        // It waits for its first start, in the backlog as well, and no longer than that.
        let patient = with_spec(queued(9), |spec| spec.start_within = Some(std::time::Duration::from_secs(1)));
        tasks.push(patient);
        let (epoch, mut scribe) = fill(store.as_mut(), &tasks);
        for rank in 0..2 {
            scribe.member(id(8), rank, |member| in_state(member, State::Pending(Wait::BackingOff(due(50)))));
        }
        commit(store.as_mut(), epoch, &mut scribe);
        let mut expected = [6, 2, 7, 1, 3, 4].map(id).to_vec();
        expected.extend([id(8).member(1), id(8).member(2), id(9)]);
        for limit in 1..10 {
            let (mut ids, mut after, mut more) = (Vec::new(), None, true);
            while more {
                let answer = store.ahead(&Want::Waiting { after, limit }).unwrap();
                let Ahead::Waiting { after: behind, found, more: follow } = answer else { panic!() };
                assert_eq!(behind, after, "{name}");
                ids.extend(found.iter().map(|found| found.task.id));
                let place = |task: &Task| WaitPlace { due_ms: task.due().unwrap().at.0, id: task.id };
                after = found.last().map(|last| place(&last.task)).or(after);
                more = follow;
            }
            assert_eq!(ids, expected, "{name} {limit}");
        }
    }
}

#[test]
fn members_are_told_by_rank_with_rows_and_entries() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(1, "2-4,9,20-30")]);
        for rank in [0, 3, 6] {
            scribe.member(id(1), rank, |member| in_state(member, State::Final(Final::Completed)));
        }
        let named = with_spec(array(2, "5-9"), |spec| spec.array.as_mut().unwrap().entries = true);
        let entries: Vec<Arc<str>> = ["a", "", "c", "d", "e"].map(Arc::from).to_vec();
        scribe.insert_with_entries(&named, &entries);
        commit(store.as_mut(), epoch, &mut scribe);
        let mut told = |n, from, limit| {
            let answer = store.ahead(&Want::Members { array: id(n), from, limit }).unwrap();
            let Ahead::Members { array, from: repeated, to, early, entries } = answer else { panic!() };
            assert_eq!((array, repeated), (id(n), from), "{name}");
            (to, early, entries.iter().map(|entry| entry.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(told(1, 0, 100), (15, vec![0, 3, 6], vec![]), "{name}");
        assert_eq!(told(1, 1, 5), (6, vec![3], vec![]), "{name}");
        assert_eq!(told(2, 1, 3), (4, vec![], vec!["".into(), "c".into(), "d".into()]), "{name}");
        assert_eq!(told(2, 4, 9), (5, vec![], vec!["e".into()]), "{name}");
        assert_eq!((told(2, 9, 3), told(3, 1, 3)), ((9, vec![], vec![]), (1, vec![], vec![])), "{name}");
    }
}

#[test]
fn classes_with_queued_tasks_are_told_page_by_page() {
    for (name, mut store, _dir) in stores() {
        let tasks: Vec<Task> = (0..9).map(|n| with_spec(queued(n), |spec| spec.priority = n as i32)).collect();
        let (epoch, mut scribe) = fill(store.as_mut(), &tasks);
        scribe.update(&in_state(tasks[4].clone(), State::Running(attempt(3, None))));
        scribe.insert(&with_spec(array(20, "1-9"), |spec| spec.priority = 99));
        commit(store.as_mut(), epoch, &mut scribe);
        let expected = [0, 1, 2, 3, 5, 6, 7, 8, 99];
        for limit in 1..11 {
            let (mut priorities, mut after) = (Vec::new(), Some(0));
            while let Some(place) = after {
                let answer = store.ahead(&Want::Classes { after: place, limit }).unwrap();
                let Ahead::Classes { classes, next } = answer else { panic!() };
                assert!(classes.len() <= limit, "{name}");
                priorities.extend(classes.iter().map(|class| class.priority));
                after = next;
            }
            priorities.sort_unstable();
            assert_eq!(priorities, expected, "{name} {limit}");
        }
    }
}
