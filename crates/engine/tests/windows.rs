//! What waits is in the store; memory holds windows of it (PROTOCOL P4).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod desk;

use desk::{Desk, attempt, exited, hello, id, shell};
use domain::{Exit, ReportKind, RetryPolicy, Spec, Totals, Want};

const W: usize = 3;

fn full(tasks: u16) -> Desk {
    let mut desk = Desk::small(W);
    for n in 1..=tasks {
        desk.submit(n, shell());
    }
    desk
}

/// Lets worker `w` in session 1 run everything there is, one after the other, and says in which order.
fn run_all(desk: &mut Desk) -> Vec<String> {
    let (mut ran, mut starts) = (Vec::new(), 1);
    desk.worker(1, "w", 1);
    while let Some(order) = desk.orders().into_iter().find(|o| o.contains("start")) {
        let start = desk.effects.iter().find_map(|e| match e {
            engine::Effect::Order(_, domain::Order::Start(start)) => Some(start.attempt),
            _ => None,
        });
        ran.push(order.rsplit(' ').next().unwrap_or_default().to_owned());
        starts += 1;
        desk.report(1, start.unwrap(), exited(Exit::Code(0), Totals::default())).offer(1, starts, 0);
    }
    ran
}

#[test]
fn memory_holds_what_can_be_run_and_nothing_without_a_worker() {
    let mut desk = full(100);
    assert_eq!(desk.engine.residents(), 0, "nobody can run them");
    desk.worker(1, "w", 1);
    assert!(desk.engine.residents() <= 2 * W + 1, "{} in memory", desk.engine.residents());
}

#[test]
fn a_backlog_many_windows_long_runs_in_order() {
    let mut desk = full(40);
    let want: Vec<String> = (1..=40).map(|n| format!("{n}#1")).collect();
    assert_eq!(run_all(&mut desk), want);
    assert_eq!(desk.engine.residents(), 0);
}

#[test]
fn what_comes_while_a_window_is_read_is_neither_lost_nor_early() {
    let mut desk = full(8);
    desk.reads = false;
    desk.worker(1, "w", 0);
    // The engine asked which classes there are; the answer is on its way.
    desk.submit(9, shell());
    desk.reads = true;
    desk.settle();
    let want: Vec<String> = (1..=9).map(|n| format!("{n}#1")).collect();
    assert_eq!(run_all(&mut desk), want);
}

#[test]
fn an_answer_that_is_older_than_a_change_does_not_bring_it_back() {
    let mut desk = full(8);
    desk.reads = false;
    desk.worker(1, "w", 0);
    let classes: Vec<Want> = std::mem::take(&mut desk.asked);
    let answers: Vec<_> = classes.iter().map(|want| desk.shelf.read(want)).collect();
    for answer in answers {
        desk.engine.ahead(domain::Now::default(), answer);
    }
    desk.settle();
    let backlog: Vec<Want> = std::mem::take(&mut desk.asked);
    let stale: Vec<_> = backlog.iter().map(|want| desk.shelf.read(want)).collect();
    // Cancelled after it was read, and before the answer arrives.
    let engine = &mut desk.engine;
    let input = engine::Input::Cancel { caller: engine::Caller(1), tasks: vec![id(1)] };
    let facts: Vec<_> = engine.needs(&input).iter().map(|need| desk.shelf.fact(need)).collect();
    engine.handle(domain::Now::default(), input, &facts);
    for answer in stale {
        engine.ahead(domain::Now::default(), answer);
    }
    desk.reads = true;
    desk.settle();
    assert_eq!(run_all(&mut desk)[0], "2#1");
    assert_eq!(desk.state(1), "gone");
}

#[test]
fn a_higher_priority_starts_before_a_long_backlog() {
    let mut desk = full(50);
    desk.worker(1, "w", 0).submit(60, Spec { priority: 1, ..shell() });
    desk.offer(1, 1, 0);
    assert_eq!(desk.orders(), ["1: start 60#1"]);
}

#[test]
fn short_tasks_sent_ahead_do_not_starve_a_higher_priority_that_needs_a_slot() {
    let mut desk = Desk::new();
    desk.worker(1, "w", 1).submit(1, shell()).exit(1, 1, 1, Exit::Code(0));
    // They are known to be short now: one free slot, and four more ahead of it.
    desk.offer(1, 6, 4);
    for n in 2..=30 {
        desk.submit(n, shell());
    }
    let urgent = Spec { priority: 1, ..shell() };
    desk.submit(40, urgent.clone());
    for ended in 2..=6 {
        // Its class may run long: it needs a slot of its own, and nobody is sent ahead past it.
        assert_eq!((desk.state(40), desk.state(7)), ("queued", "queued"));
        desk.exit(1, ended, 1, Exit::Code(0)).offer(1, 6 + u64::from(ended) - 1, 4);
    }
    let starts: Vec<String> = desk.orders().into_iter().filter(|order| order.contains("start")).take(2).collect();
    assert_eq!(starts, ["1: start 40#1", "1: start 7#1"]);
}

#[test]
fn a_lost_attempt_takes_its_old_place() {
    let mut desk = full(50);
    desk.worker(1, "w", 1);
    assert_eq!(desk.state(1), "dispatched");
    desk.report(1, attempt(1, 1), ReportKind::Recalled).offer(1, 2, 0);
    assert_eq!(desk.state(1), "dispatched", "again the first one");
}

#[test]
fn a_retry_as_a_new_task_does_not_queue_behind_the_others() {
    let mut desk = full(50);
    desk.worker(1, "w", 1).exit(1, 1, 1, Exit::Code(3));
    let mut again = desk::new(70, shell());
    again.retry = Some(engine::RetryOf { task: id(1), ready_seq: 1 });
    let caller = engine::Caller(1);
    desk.tell(engine::Input::Submit { caller, tasks: vec![again], repeated: false, brief: true }).offer(1, 2, 0);
    assert_eq!(desk.orders(), ["1: start 70#1"]);
    assert_eq!(desk.shelf.tasks[&id(70)].retry_of, Some(id(1)));
}

#[test]
fn tasks_deep_in_the_backlog_can_be_cancelled() {
    let mut desk = full(50);
    desk.worker(1, "w", 0);
    for n in [40, 3, 50] {
        assert!(desk.cancel(n).is_ok());
    }
    let ran = run_all(&mut desk);
    assert_eq!(ran.len(), 47);
    assert!(!ran.contains(&"40#1".to_owned()) && ran.contains(&"41#1".to_owned()));
}

#[test]
fn cancelling_a_whole_window_does_not_starve_what_is_behind_it() {
    let mut desk = full(20);
    desk.worker(1, "w", 0);
    for n in 1..=12 {
        assert!(desk.cancel(n).is_ok());
    }
    assert_eq!(run_all(&mut desk).len(), 8);
}

#[test]
fn many_that_back_off_cost_a_window_and_all_come_back() {
    let mut desk = Desk::small(W);
    let spec = Spec { retry: RetryPolicy { max_retries: 1 }, ..shell() };
    desk.worker(1, "w", 30);
    for n in 1..=30 {
        desk.submit(n, spec.clone()).exit(1, n, 1, Exit::Code(1));
    }
    assert_eq!(desk.state(17), "backing_off");
    assert!(desk.engine.residents() <= 2 * W, "{} in memory", desk.engine.residents());
    desk.pass(3.0);
    assert!((1..=30).all(|n| desk.state(n) == "queued"));
    desk.offer(1, 60, 0);
    assert!((1..=30).all(|n| desk.state(n) == "dispatched"));
}

#[test]
fn what_nobody_can_run_any_more_leaves_memory_and_comes_back() {
    let mut desk = full(20);
    desk.worker(1, "w", 0).tell(engine::Input::Closed { session: engine::SessionId(1) }).pass(100.0);
    assert_eq!(desk.engine.residents(), 0);
    desk.hello(2, hello("w")).offer(2, 1, 0);
    assert_eq!(desk.orders(), ["2: start 1#1"]);
}

#[test]
fn a_delayed_task_starts_at_its_time_and_can_be_cancelled_before() {
    let mut desk = Desk::new();
    let at = |seconds: i64| Spec { run_at: Some(domain::UnixMillis(seconds * 1_000)), ..shell() };
    desk.worker(1, "w", 9).submit(1, at(10)).submit(2, at(20)).submit(3, at(-5));
    assert_eq!([desk.state(1), desk.state(2), desk.state(3)], ["delayed", "delayed", "dispatched"]);
    assert!(desk.cancel(2).is_ok());
    desk.pass(9.0);
    assert_eq!(desk.state(1), "delayed");
    desk.pass(1.5);
    assert_eq!([desk.state(1), desk.state(2)], ["dispatched", "gone"]);
}
