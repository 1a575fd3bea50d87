//! What readers get of single tasks.

use super::{commit, fill, samples, samples::*, stores};
use domain::*;

/// Tasks of one class.
fn queued(n: u64) -> Task {
    alike(samples::queued(n))
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
        let (epoch, _) = fill(store.as_mut(), &[queued(1), queued(2)]);
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
        store.commit(&Batch { epoch, writes, tallies: Vec::new(), ready_seq: 0 }).unwrap();
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
fn only_queued_tasks_of_the_same_class_with_an_earlier_place_are_before_one() {
    for (name, mut store, _dir) in stores() {
        let mut tasks: Vec<Task> = (0..10).map(queued).collect();
        tasks.push(in_state(queued(11), State::Running(attempt(3, None))));
        tasks.push(with_spec(queued(12), |spec| spec.queue = "other".into()));
        tasks.push(with_spec(queued(13), |spec| spec.priority = 5));
        tasks.push(with_spec(queued(14), |spec| spec.labels.clear()));
        tasks.push(in_state(queued(15), State::Pending(Wait::BackingOff(due(7)))));
        // A retry keeps its place: what has the smaller id comes first.
        tasks.push(Task { ready_seq: queued(20).ready_seq, ..queued(16) });
        tasks.push(Task { ready_seq: queued(20).ready_seq, ..queued(24) });
        fill(store.as_mut(), &tasks);
        let behind = |task: &Task, limit| store.reader().behind(task, limit).unwrap();
        assert_eq!((behind(&queued(20), 100), behind(&queued(20), 4)), (11, 4), "{name}");
        assert_eq!((behind(&queued(0), 100), behind(&queued(5), 100)), (0, 5), "{name}");
        let unheard_of = with_spec(queued(20), |spec| spec.queue = "unheard of".into());
        assert_eq!(behind(&unheard_of, 100), 0, "{name}");
    }
}

#[test]
fn members_of_arrays_are_before_one_each_by_its_own_place() {
    for (name, mut store, _dir) in stores() {
        let array = |n, ranges| alike(samples::array(n, ranges));
        // Places: 1 to 10, 11 to 15, 16.
        let (epoch, mut scribe) = fill(store.as_mut(), &[array(0, "0-8:2,20-24"), array(10, "1-5"), queued(15)]);
        let behind = |task: TaskId, limit| {
            let task = store.reader().task(task).unwrap().unwrap();
            store.reader().behind(&task, limit).unwrap()
        };
        let all = |n: u64| (behind(id(n), 100), behind(id(n), 7));
        assert_eq!((all(15), all(10), all(0)), ((15, 7), (10, 7), (0, 0)), "{name}");
        let members = [id(0).member(0), id(0).member(20), id(10).member(3)];
        assert_eq!(members.map(|member| behind(member, 100)), [0, 5, 12], "{name}: its own array's count as well");
        let ran = |member| in_state(member, State::Running(attempt(1, None)));
        let waits = |member| in_state(member, State::Pending(Wait::Queued));
        let cancelled = |member| in_state(member, State::Final(Final::Cancelled { unconfirmed: None }));
        scribe.member(id(0), 0, ran);
        scribe.member(id(0), 1, waits);
        scribe.member(id(0), 4, cancelled);
        scribe.member(id(0), 8, cancelled);
        scribe.member(id(10), 2, cancelled);
        commit(store.as_mut(), epoch, &mut scribe);
        let behind = |task: TaskId| {
            let task = store.reader().task(task).unwrap().unwrap();
            store.reader().behind(&task, 100).unwrap()
        };
        assert_eq!([id(0), id(10), id(15)].map(behind), [1, 7, 11], "{name}");
        let members = [id(0).member(2), id(0).member(20), id(0).member(24), id(10).member(4)];
        assert_eq!(members.map(behind), [0, 3, 6, 9], "{name}");
        scribe.close(id(10), UnixMillis(3));
        commit(store.as_mut(), epoch, &mut scribe);
        let task = store.reader().task(id(15)).unwrap().unwrap();
        assert_eq!(store.reader().behind(&task, 100), Ok(7), "{name}: closed");
    }
}
