//! Who gets what, and in which order.

mod desk;

use desk::{Desk, container, handler, hello, id, shell};
use domain::{Exit, Spec, WaitReason, WorkerId};
use engine::{Input, LegacyMessage, SessionId};

#[test]
fn a_task_is_placed_in_the_step_that_accepts_it_if_a_slot_is_free() {
    let mut desk = Desk::new();
    desk.worker(1, "w", 1).submit(1, shell());
    assert_eq!(desk.orders(), ["1: start 1#1"]);
    assert_eq!(desk.events(), ["1 accepted", "2 dispatched w"]);
    assert_eq!(desk.writes.len(), 1, "one record makes both durable");
    assert_eq!(desk.waiting(), None);
    desk.submit(2, shell());
    assert_eq!((desk.state(2), desk.orders().len()), ("queued", 0), "there is no second slot");
}

#[test]
fn higher_priority_goes_first_then_who_came_first() {
    let mut desk = Desk::new();
    for (n, priority) in [(1, 0), (2, 5), (3, 0), (4, 5), (5, -1)] {
        desk.submit(n, Spec { priority, ..shell() });
    }
    desk.worker(1, "w", 5);
    let want = ["1: start 2#1", "1: start 4#1", "1: start 1#1", "1: start 3#1", "1: start 5#1"];
    assert_eq!(desk.orders(), want);
}

#[test]
fn equal_priority_in_different_classes_goes_by_arrival() {
    let mut desk = Desk::new();
    desk.submit(1, shell());
    desk.submit(2, Spec { queue: "other".into(), ..shell() });
    desk.submit(3, shell());
    desk.worker(1, "w", 3);
    assert_eq!(desk.orders(), ["1: start 1#1", "1: start 2#1", "1: start 3#1"]);
}

#[test]
fn the_worker_with_most_free_slots_is_chosen() {
    let mut desk = Desk::new();
    desk.worker(1, "a", 1).worker(2, "b", 3).submit(1, shell());
    assert_eq!(desk.orders(), ["2: start 1#1"]);
}

#[test]
fn each_way_of_waiting_has_its_reason() {
    let gpu = Spec { labels: [("gpu".to_owned(), "yes".to_owned())].into(), ..shell() };
    let pinned = |name: &str| Spec { worker: Some(WorkerId::new(name)), ..shell() };
    let mut desk = Desk::new();
    assert_eq!(desk.submit(1, shell()).waiting(), Some(WaitReason::NoWorker));
    desk.worker(1, "w", 1);
    let table = [
        (2, shell(), WaitReason::NoFreeSlot { workers: 1 }),
        (3, shell(), WaitReason::Queued { behind: 1 }),
        (4, gpu, WaitReason::NoMatch { requirement: "label gpu=yes".into(), workers: 1 }),
        (5, pinned("v"), WaitReason::WorkerAway(WorkerId::new("v"))),
        (6, handler("resize"), WaitReason::NoMatch { requirement: "handler resize".into(), workers: 1 }),
        (7, pinned("w"), WaitReason::NoFreeSlot { workers: 1 }),
    ];
    for (n, spec, reason) in table {
        assert_eq!(desk.submit(n, spec).waiting(), Some(reason), "task {n}");
    }
}

#[test]
fn handlers_run_where_they_are_offered_and_the_demo_keeps_off_them_for_ever() {
    let mut desk = Desk::new();
    let demo = domain::Hello { demo: true, ..hello("demo") };
    desk.hello(1, demo).offer(1, 9, 0);
    assert_eq!(desk.submit(1, handler("resize")).orders(), ["1: start 1#1"], "nobody has ever offered it");
    let real = domain::Hello { handlers: ["resize".to_owned()].into(), ..hello("real") };
    desk.hello(2, real).offer(2, 1, 0);
    assert_eq!(desk.submit(2, handler("resize")).orders(), ["2: start 2#1"]);
    desk.tell(Input::Closed { session: SessionId(2) });
    desk.submit(3, handler("resize"));
    assert_eq!(desk.state(3), "queued", "it waits for the real one");
}

#[test]
fn containers_run_where_there_is_an_engine() {
    let mut desk = Desk::new();
    desk.hello(1, domain::Hello { demo: true, ..hello("plain") }).offer(1, 9, 0);
    assert!(desk.submit(1, container()).orders().is_empty());
    desk.hello(2, domain::Hello { docker: true, shell: false, ..hello("engine") }).offer(2, 2, 0);
    assert_eq!(desk.orders(), ["2: start 1#1"]);
    assert_eq!(desk.submit(2, shell()).orders(), ["1: start 2#1"]);
}

#[test]
fn only_tasks_known_to_be_short_go_ahead_of_free_slots() {
    let mut desk = Desk::new();
    desk.hello(1, hello("w")).offer(1, 4, 3);
    for n in 1..=4 {
        desk.submit(n, shell());
    }
    assert_eq!((desk.state(1), desk.state(2)), ("dispatched", "queued"), "nothing is known yet");
    desk.exit(1, 1, 1, Exit::Code(0));
    // It ran for a millisecond; three starts are still granted, all of them ahead.
    assert_eq!(["dispatched"; 3], [desk.state(2), desk.state(3), desk.state(4)]);
}

#[test]
fn a_worker_of_the_older_dialect_gets_stray_handler_tasks_one_a_slot() {
    let mut desk = Desk::new();
    let session = SessionId(1);
    let beat = |slots| LegacyMessage::Heartbeat { worker: WorkerId::new("old"), address: String::new(), slots };
    desk.tell(Input::Legacy { session, message: beat(2) });
    for n in 1..=3 {
        desk.submit(n, handler("work"));
    }
    desk.submit(4, shell());
    assert_eq!([desk.state(1), desk.state(2), desk.state(3)], ["dispatched", "dispatched", "queued"]);
    assert_eq!(desk.state(4), "queued", "it runs no commands");
    desk.tell(Input::Legacy { session, message: LegacyMessage::Result { task: id(1), result: Ok(b"done".to_vec()) } });
    assert_eq!(desk.events()[..2], ["3 started old", "4 finished: completed (0)"]);
    assert_eq!([desk.state(1), desk.state(3)], ["gone", "dispatched"]);
    assert_eq!(desk.cancel(2), Ok(domain::StateWord::Cancelled), "it can't be told to stop: final at once");
}

#[test]
fn what_is_stuck_behind_a_long_task_goes_to_a_free_worker_once_it_is_given_back() {
    let mut desk = Desk::new();
    desk.hello(1, hello("a")).offer(1, 4, 3).submit(1, shell()).exit(1, 1, 1, Exit::Code(0));
    for n in 2..=4 {
        desk.submit(n, shell());
    }
    assert_eq!(["dispatched"; 3], [desk.state(2), desk.state(3), desk.state(4)], "they are known to be short");
    desk.started(1, 2, 1);
    assert!(desk.pass(0.5).orders().is_empty(), "nobody else is free");
    desk.worker(2, "b", 1);
    assert_eq!(desk.pass(0.15).orders(), ["1: recall 3#1"]);
    desk.report(1, desk::attempt(3, 1), domain::ReportKind::Recalled);
    assert_eq!(desk.orders()[0], "2: start 3#2");
}

#[test]
fn a_worker_that_leaves_is_not_given_back_what_it_gives_back() {
    let mut desk = Desk::new();
    desk.worker(1, "a", 1).submit(1, shell());
    let reports = vec![domain::Report { number: 1, attempt: desk::attempt(1, 1), kind: domain::ReportKind::Recalled }];
    let offer = Some(domain::Offer { starts: 1, prefetch: 0 });
    desk.hello(2, hello("b")).tell(Input::Update { session: SessionId(1), reports, offer });
    assert_eq!((desk.state(1), desk.orders()), ("queued", vec!["1: forget 1".to_owned()]));
}
