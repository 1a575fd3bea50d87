//! Tasks that wait for their first start no longer than they were told to.

mod desk;

use desk::{Desk, attempt, shell};
use domain::{Exit, ReportKind, RetryPolicy, Spec, WorkerId};
use std::time::Duration;

/// For worker `w` alone, and for 10 s at most.
fn patient() -> Spec {
    Spec { worker: Some(WorkerId::new("w")), start_within: Some(Duration::from_secs(10)), ..shell() }
}

#[test]
fn a_task_that_nobody_starts_in_time_ends_as_timed_out() {
    let mut desk = Desk::new();
    desk.worker(1, "another", 1).submit(1, patient());
    assert_eq!(desk.pass(9.9).state(1), "queued");
    assert_eq!(desk.pass(0.2).events(), ["2 finished: not started within 10s (-1)"]);
    assert_eq!((desk.state(1), desk.engine.residents()), ("gone", 0));
    desk.worker(2, "w", 1);
    assert!(!desk.orders().iter().any(|order| order.contains("start")), "{:?}", desk.orders());
}

#[test]
fn a_task_that_was_started_in_time_may_take_longer() {
    let mut desk = Desk::new();
    desk.submit(1, Spec { retry: RetryPolicy { max_retries: 1 }, ..patient() });
    desk.pass(9.0).worker(1, "w", 1).started(1, 1, 1);
    // Its worker says something now and then.
    for _ in 0..3 {
        desk.pass(10.0).offer(1, 1, 0);
    }
    assert_eq!(desk.state(1), "running");
    desk.exit(1, 1, 1, Exit::Code(1)).pass(2.0);
    assert_eq!(desk.state(1), "queued", "it was started once: what follows is for its retries");
    assert_eq!(desk.pass(60.0).state(1), "queued");
}

#[test]
fn patience_begins_when_a_delay_is_over() {
    let mut desk = Desk::new();
    desk.submit(1, Spec { run_at: Some(domain::UnixMillis(30_000)), ..patient() });
    assert_eq!(desk.pass(35.0).state(1), "queued");
    assert_eq!(desk.pass(5.1).state(1), "gone");
}

#[test]
fn patience_goes_on_over_a_restart_and_for_more_tasks_than_memory_holds() {
    let mut desk = Desk::small(3);
    for n in 1..=40 {
        desk.submit(n, patient());
    }
    desk.pass(5.0).restart();
    assert_eq!(desk.pass(4.9).state(40), "queued");
    desk.pass(0.2);
    let left: Vec<_> = (1..=40).filter(|n| desk.state(*n) != "gone").collect();
    assert!(left.is_empty(), "still there: {left:?}");
    assert_eq!(desk.engine.residents(), 0);
}

#[test]
fn those_that_wait_with_patience_run_in_their_order_among_the_others() {
    let mut desk = Desk::small(3);
    for n in 1..=20 {
        desk.submit(n, if n % 3 == 0 { patient() } else { Spec { start_within: None, ..patient() } });
    }
    desk.worker(1, "w", 1);
    for n in 1..=20 {
        assert_eq!(desk.state(n), "dispatched", "{n}");
        desk.exit(1, n, 1, Exit::Code(0)).offer(1, u64::from(n) + 1, 0);
    }
    assert_eq!(desk.pass(60.0).engine.residents(), 0);
}

#[test]
fn a_task_that_comes_back_unstarted_when_its_time_is_over_is_given_to_nobody() {
    for why in ["recalled", "refused", "lost"] {
        let mut desk = Desk::new();
        desk.submit(1, Spec { worker: None, ..patient() });
        desk.worker(1, "w", 1).pass(9.0).worker(2, "another", 1);
        assert_eq!(desk.state(1), "dispatched");
        // Long enough for its patience, not for a worker to be given up.
        for _ in 0..3 {
            desk.offer(1, 1, 0).offer(2, 1, 0).pass(3.0);
        }
        let report = match why {
            "recalled" => ReportKind::Recalled,
            "refused" => ReportKind::Refused("no room".into()),
            _ => ReportKind::Lost,
        };
        desk.report(1, attempt(1, 1), report).pass(5.0);
        assert_eq!(desk.state(1), "gone", "{why}: {:?}", desk.orders());
    }
}
