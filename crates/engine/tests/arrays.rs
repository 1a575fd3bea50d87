//! An array is one row until its members run (PROTOCOL P5).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod desk;

use desk::{Desk, exited, id, shell};
use domain::{ArraySpec, AttemptId, AttemptNo, Exit, Ranges, ReportKind, RetryPolicy, Spec, StateWord, TaskId, Totals};
use std::sync::Arc;

fn array(ranges: &str) -> Spec {
    let ranges = Ranges::parse(ranges).unwrap();
    Spec { array: Some(ArraySpec { ranges, entries: false }), ..shell() }
}

fn member(index: u32) -> TaskId {
    id(1).member(index)
}

fn attempt(index: u32, no: u32) -> AttemptId {
    AttemptId { task: member(index), no: AttemptNo(no) }
}

/// Array 1 with these members on worker `w`, which has so many slots.
fn running(ranges: &str, slots: u64) -> Desk {
    let mut desk = Desk::small(3);
    desk.worker(1, "w", slots).submit(1, array(ranges));
    desk
}

fn exit(desk: &mut Desk, index: u32, code: i32) {
    desk.report(1, attempt(index, 1), exited(Exit::Code(code), Totals::default()));
}

fn end(desk: &Desk) -> String {
    let task = desk.shelf.find(id(1)).unwrap().task;
    match task.state {
        domain::State::Final(end) => end.text(),
        other => other.word().as_str().into(),
    }
}

fn count(desk: &Desk, word: StateWord) -> u64 {
    desk.shelf.tasks[&id(1)].array.as_ref().unwrap().counts.get(word)
}

#[test]
fn ten_million_members_are_one_row_until_they_run() {
    let mut desk = running("1-10000000", 2);
    assert_eq!(desk.orders(), ["1: start 1.1#1", "1: start 1.2#1"]);
    assert_eq!(desk.events(), ["1 accepted", "2 begun", "2 dispatched w", "2 dispatched w"]);
    assert_eq!(desk.shelf.tasks.len(), 3, "the array and two members");
    assert_eq!((count(&desk, StateWord::Queued), count(&desk, StateWord::Dispatched)), (9_999_998, 2));
    exit(&mut desk, 1, 0);
    desk.offer(1, 3, 0);
    assert_eq!(desk.orders(), ["1: start 1.3#1"]);
}

#[test]
fn members_go_in_the_order_of_their_indexes_and_before_what_came_later() {
    let mut desk = running("7,3-4", 0);
    desk.submit(2, shell()).offer(1, 4, 0);
    assert_eq!(desk.orders(), ["1: start 1.3#1", "1: start 1.4#1", "1: start 1.7#1", "1: start 2#1"]);
}

#[test]
fn an_array_ends_as_its_members_do() {
    for (codes, want) in [([0, 0, 0], "completed"), ([0, 3, 0], "1 of 3 members failed")] {
        let mut desk = running("1-3", 3);
        for (index, code) in (1..).zip(codes) {
            exit(&mut desk, index, code);
        }
        assert_eq!(end(&desk), want);
        assert_eq!(desk.engine.residents(), 0);
    }
}

#[test]
fn cancelling_an_array_is_one_write_and_kills_what_runs() {
    let mut desk = running("1-1000000", 2);
    assert_eq!(desk.cancel(1).unwrap(), StateWord::Cancelling);
    assert_eq!(desk.orders(), ["1: kill 1.1#1", "1: kill 1.2#1"]);
    assert!(desk.writes.len() < 6, "{} writes", desk.writes.len());
    assert_eq!(count(&desk, StateWord::Cancelled), 999_998);
    assert_eq!(desk.shelf.word(member(500)), Some(StateWord::Cancelled), "a member without a row");
    desk.report(1, attempt(1, 1), exited(Exit::Killed, Totals::default()));
    assert_eq!(end(&desk), "cancelling");
    exit(&mut desk, 2, 0);
    assert_eq!(end(&desk), "cancelled", "an exit 0 after the cancel doesn't count");
    desk.offer(1, 9, 0);
    assert_eq!(desk.orders().len(), 0);
}

#[test]
fn an_array_that_has_not_begun_is_cancelled_at_once() {
    let mut desk = running("0-9", 0);
    assert_eq!(desk.cancel(1).unwrap(), StateWord::Cancelled);
    assert_eq!((end(&desk), desk.shelf.tasks.len()), ("cancelled".into(), 1));
    assert!(desk.cancel_id(member(3)).unwrap_err().text().ends_with("is already cancelled"));
}

#[test]
fn members_cancelled_before_their_turn_are_passed_over() {
    let mut desk = running("1-9", 0);
    for index in [1, 2, 5, 9] {
        assert_eq!(desk.cancel_id(member(index)).unwrap(), StateWord::Cancelled);
    }
    assert!(desk.cancel_id(member(10)).is_err(), "there is none");
    desk.offer(1, 9, 0);
    assert_eq!(desk.orders(), ["3", "4", "6", "7", "8"].map(|n| format!("1: start 1.{n}#1")));
    for index in [3, 4, 6, 7, 8] {
        exit(&mut desk, index, 0);
    }
    assert_eq!(end(&desk), "cancelled");
    assert_eq!((count(&desk, StateWord::Completed), count(&desk, StateWord::Cancelled)), (5, 4));
}

#[test]
fn all_members_cancelled_one_by_one_end_their_array() {
    let mut desk = running("1-3", 0);
    for index in 1..=3 {
        assert!(desk.cancel_id(member(index)).is_ok());
    }
    assert_eq!(end(&desk), "cancelled");
}

#[test]
fn delayed_arrays_cancelled_member_by_member_do_not_hide_what_waits_behind_them() {
    let mut desk = Desk::small(3);
    let at = |seconds: i64, spec: Spec| Spec { run_at: Some(domain::UnixMillis(seconds * 1_000)), ..spec };
    desk.worker(1, "w", 30);
    for n in 1..=3 {
        desk.submit(n, at(5 + i64::from(n), array("1")));
    }
    for n in 4..=20 {
        desk.submit(n, at(20 + i64::from(n), desk::shell()));
    }
    for n in 1..=3 {
        assert!(desk.cancel_id(desk::id(n).member(1)).is_ok());
    }
    assert_eq!(desk.engine.strays(), []);
    desk.pass(60.0);
    // Nobody heard of the worker meanwhile; but their time has come.
    let states: Vec<_> = (4..=20).map(|n| desk.state(n)).collect();
    assert_eq!(states, ["queued"; 17]);
}

#[test]
fn entries_reach_the_members_they_belong_to() {
    let mut desk = Desk::small(3);
    let mut new = desk::new(1, array("1-8"));
    let mut spec = array("1-8");
    spec.array.as_mut().unwrap().entries = true;
    new.spec = Arc::new(spec);
    new.entries = (1..=8).map(|n| Arc::from(format!("line {n}"))).collect();
    let caller = engine::Caller(1);
    desk.worker(1, "w", 8);
    desk.tell(engine::Input::Submit { caller, tasks: vec![new], repeated: false, brief: false });
    let entries: Vec<String> = desk
        .effects
        .iter()
        .filter_map(|e| match e {
            engine::Effect::Order(_, domain::Order::Start(start)) => start.entry.as_deref().map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(entries, (1..=8).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[test]
fn a_member_that_is_tried_again_keeps_its_place_and_its_array_waits_for_it() {
    let mut desk = Desk::small(3);
    let spec = Spec { retry: RetryPolicy { max_retries: 1 }, ..array("1-2") };
    desk.worker(1, "w", 2).submit(1, spec);
    exit(&mut desk, 1, 1);
    exit(&mut desk, 2, 0);
    assert_eq!((desk.word(member(1)), end(&desk)), ("backing_off", "running".into()));
    desk.pass(2.0).offer(1, 3, 0);
    assert_eq!(desk.orders(), ["1: start 1.1#2"]);
    desk.report(1, attempt(1, 2), exited(Exit::Code(0), Totals::default()));
    assert_eq!(end(&desk), "completed");
}

#[test]
fn cancelling_reaches_members_that_back_off_in_the_store() {
    let mut desk = Desk::small(2);
    let spec = Spec { retry: RetryPolicy { max_retries: 1 }, ..array("1-20") };
    desk.worker(1, "w", 10).submit(1, spec);
    for index in 1..=10 {
        exit(&mut desk, index, 1);
    }
    assert_eq!(count(&desk, StateWord::BackingOff), 10);
    assert_eq!(desk.cancel(1).unwrap(), StateWord::Cancelled);
    assert_eq!((end(&desk), count(&desk, StateWord::Cancelled)), ("cancelled".into(), 20));
    assert_eq!(desk.shelf.word(member(9)), Some(StateWord::Cancelled));
    assert_eq!(desk.pass(10.0).offer(1, 40, 0).orders().len(), 0);
}

#[test]
fn an_array_goes_on_after_a_restart() {
    let mut desk = running("1-6", 2);
    desk.restart();
    let held = [1, 2].map(|index| domain::HeldAttempt {
        attempt: attempt(index, 1),
        phase: domain::HeldPhase::Running,
        totals: Totals::default(),
    });
    desk.hello(1, domain::Hello { held: held.into(), ..desk::hello("w") });
    exit(&mut desk, 1, 0);
    desk.offer(1, 4, 0);
    assert_eq!(desk.orders(), ["1: start 1.3#1", "1: start 1.4#1", "1: start 1.5#1", "1: start 1.6#1"]);
    for index in 2..=6 {
        exit(&mut desk, index, 0);
    }
    assert_eq!(end(&desk), "completed");
}

#[test]
fn a_lost_member_comes_back_with_the_same_index() {
    let mut desk = running("1-3", 1);
    desk.report(1, attempt(1, 1), ReportKind::Lost).offer(1, 2, 0);
    assert_eq!(desk.orders(), ["1: start 1.1#2"]);
}

#[test]
fn a_delayed_array_waits_whole() {
    let mut desk = Desk::new();
    let spec = Spec { run_at: Some(domain::UnixMillis(5_000)), ..array("1-3") };
    desk.worker(1, "w", 3).submit(1, spec);
    assert_eq!((desk.state(1), desk.word(member(2)), count(&desk, StateWord::Delayed)), ("delayed", "delayed", 3));
    desk.pass(6.0);
    assert_eq!((desk.state(1), count(&desk, StateWord::Dispatched)), ("running", 3));
}

#[test]
fn progress_says_how_many_have_ended_at_most_once_a_second() {
    let mut desk = running("1-100", 100);
    exit(&mut desk, 1, 0);
    assert_eq!(desk.events().last().map(String::as_str), Some("3 progress 1"));
    exit(&mut desk, 2, 0);
    assert_eq!(desk.events().last().map(String::as_str), Some("4 finished: completed (0)"), "of the member");
    desk.pass(1.0);
    exit(&mut desk, 3, 1);
    assert_eq!(desk.events().last().map(String::as_str), Some("4 progress 3"));
}
