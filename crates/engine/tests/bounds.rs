//! Numbers that no honest worker says: they harm nobody, and least of all the scheduler.

mod desk;

use desk::{Desk, attempt, exited, hello, shell};
use domain::{Exit, Hello, ReportKind, Tail, Totals, WorkerId, limits};
use engine::{Input, SessionId};

#[test]
fn runs_beyond_all_numbers_do_not_stop_the_engine() {
    let mut desk = Desk::new();
    desk.worker(1, "w", 10);
    for n in 1..=3 {
        desk.submit(n, shell());
        let (exit, totals, tail, result) = (Exit::Code(0), Totals::default(), Tail::default(), Vec::new());
        let kind = ReportKind::Exited { exit, totals, tail, result, run_us: u64::MAX, tree_gone: true };
        desk.report(1, attempt(n, 1), kind);
        assert_eq!(desk.state(n), "gone");
    }
}

#[test]
fn a_worker_gets_no_more_than_it_should_hold_whatever_it_offers() {
    let mut desk = Desk::new();
    // Two of them: what they offer is added up where tasks are taken back for the one from the other.
    for (session, name) in [(1, "a"), (2, "b"), (3, "c")] {
        desk.worker(session, name, 0).offer(session, u64::MAX, 0);
    }
    for n in 1..=6 {
        desk.submit(n, shell());
    }
    desk.offer(1, u64::MAX, u32::MAX).pass(5.0);
    assert!((1..=6).all(|n| desk.state(n) == "dispatched"));
    assert_eq!(limits::WORKER_ATTEMPTS, 16_384, "as documented");
}

#[test]
fn of_an_end_that_is_said_again_and_again_only_the_last_report_waits() {
    let mut desk = Desk::new();
    desk.worker(1, "w", 1).submit(1, shell()).started(1, 1, 1);
    let totals = Totals { frames: 5, stdout: 5, stderr: 0 };
    for _ in 0..3 {
        desk.report(1, attempt(1, 1), exited(Exit::Code(0), totals));
    }
    // Those before are settled: the last one says the same.
    assert_eq!(desk.orders(), ["1: forget 3"]);
    desk.tell(Input::OutputStored { attempt: attempt(1, 1), frames: 5 });
    assert_eq!((desk.state(1), desk.orders()), ("gone", vec!["1: forget 4".to_owned()]));
}

#[test]
fn beyond_so_many_workers_the_one_that_is_away_for_longest_makes_room() {
    let mut desk = Desk::new();
    for n in 0..limits::WORKERS as u64 {
        desk.hello(n + 1, hello(&format!("w{n}")));
    }
    desk.hello(20_000, hello("one-more"));
    let text = desk.orders().join("\n");
    assert!(text.contains("20000: close 10000 workers are known"), "{text}");
    for (at, session) in [(1.0, 7), (2.0, 5)] {
        desk.now = at;
        desk.tell(Input::Closed { session: SessionId(session) });
    }
    desk.hello(20_001, hello("one-more"));
    assert_eq!(desk.orders(), ["20001: welcome"]);
    let known =
        |desk: &Desk, name: &str| desk.engine.snapshot().workers.iter().any(|w| w.hello.worker == WorkerId::new(name));
    assert!(!known(&desk, "w6") && known(&desk, "w4") && known(&desk, "one-more"));
}

#[test]
fn a_hello_is_bounded() {
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Hello));
    let long = || "x".repeat(limits::WORD_CHARS + 1);
    let changes: [Change; 8] = [
        ("address", &|h| h.address = long()),
        ("address", &|h| h.address = "\x1b[2J".into()),
        ("version", &|h| h.version = long()),
        ("version", &|h| h.version = "1\n2".into()),
        ("handlers", &|h| h.handlers = (0..=limits::HANDLERS).map(|n| n.to_string()).collect()),
        ("slots", &|h| h.slots = limits::SLOTS + 1),
        ("labels", &|h| h.labels = [("k".to_owned(), "\x07".to_owned())].into()),
        ("held", &|h| {
            let (phase, totals) = (domain::HeldPhase::Running, Totals::default());
            h.held = vec![domain::HeldAttempt { attempt: attempt(1, 1), phase, totals }; limits::HELD + 1];
        }),
    ];
    for (field, change) in changes {
        let mut desk = Desk::new();
        let mut hello = hello("w");
        change(&mut hello);
        desk.hello(1, hello);
        let orders = desk.orders();
        assert!(orders.len() == 1 && orders[0].starts_with(&format!("1: close {field}: ")), "{field}: {orders:?}");
    }
}
