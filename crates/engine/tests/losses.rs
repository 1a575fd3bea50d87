//! Losses: what silence means, and what follows it (`on_lost`).

mod desk;

use desk::{Desk, attempt, exited, hello, shell};
use domain::{
    Exit, HeldAttempt, HeldPhase, Incarnation, Kind, OnLost, RetryPolicy, Spec, StateWord, Totals, WaitReason, WorkerId,
};
use engine::{Caller, Effect, Input, Refusal, Reply, SessionId, waiting};
use std::time::Duration;

fn running(spec: Spec) -> Desk {
    let mut desk = Desk::new();
    desk.worker(1, "w", 1).submit(1, spec).started(1, 1, 1);
    assert_eq!(desk.state(1), "running");
    desk
}

fn spec(on_lost: OnLost) -> Spec {
    Spec { on_lost, ..shell() }
}

/// A worker that comes back with attempt 1 of task 1.
fn holding() -> domain::Hello {
    let held = HeldAttempt { attempt: attempt(1, 1), phase: HeldPhase::Running, totals: Totals::default() };
    domain::Hello { held: vec![held], ..hello("w") }
}

fn gone(desk: &mut Desk, seconds: f64) {
    desk.tell(Input::Closed { session: SessionId(1) }).pass(seconds);
}

#[test]
fn a_worker_that_comes_back_in_time_keeps_its_attempts() {
    let mut desk = running(shell());
    desk.tell(Input::Closed { session: SessionId(1) }).pass(59.0);
    let held = HeldAttempt { attempt: attempt(1, 1), phase: HeldPhase::Running, totals: Totals::default() };
    desk.hello(2, domain::Hello { held: vec![held], ..hello("w") });
    assert_eq!((desk.state(1), desk.orders()), ("running", vec!["2: welcome".to_owned()]));
    assert_eq!(desk.pass(100.0).state(1), "queued", "silent for 15 s, then away for 60 s");
}

#[test]
fn a_worker_away_for_too_long_has_lost_its_attempts_for_ever() {
    let mut desk = running(shell());
    desk.tell(Input::Closed { session: SessionId(1) }).pass(60.5);
    assert_eq!((desk.state(1), desk.events()), ("queued", vec!["4 ended: worker lost".to_owned()]));
    let held = HeldAttempt { attempt: attempt(1, 1), phase: HeldPhase::Running, totals: Totals::default() };
    desk.hello(2, domain::Hello { held: vec![held], ..hello("w") });
    assert_eq!(desk.orders(), ["2: welcome", "2: kill 1#1"]);
    desk.offer(2, 1, 0);
    assert_eq!(desk.orders(), ["2: start 1#2"], "a new attempt, never the old number");
    desk.exit(2, 1, 1, Exit::Code(0));
    assert_eq!(
        (desk.state(1), desk.engine.stats().refused.total()),
        ("dispatched", 2),
        "the late result doesn't count"
    );
}

#[test]
fn an_attempt_that_a_returning_worker_does_not_hold_is_lost_at_once() {
    let mut desk = running(shell());
    desk.tell(Input::Closed { session: SessionId(1) }).hello(2, hello("w"));
    assert_eq!(desk.state(1), "queued");
}

#[test]
fn a_hello_that_comes_after_that_of_a_later_session_takes_nothing_away() {
    let opened = |opened| domain::Hello { opened, ..hello("w") };
    let mut desk = Desk::new();
    desk.hello(1, opened(20)).offer(1, 1, 0).submit(1, spec(OnLost::Wait)).started(1, 1, 1);
    desk.orders();
    desk.hello(2, opened(10));
    let late = |session| vec![format!("{session}: close this worker has opened a later session already")];
    assert_eq!((desk.state(1), desk.orders()), ("running", late(2)));
    desk.tell(Input::Closed { session: SessionId(1) }).hello(3, opened(10));
    assert_eq!((desk.state(1), desk.orders()), ("running", late(3)), "nor when the later one is gone");
    let other = Incarnation("another boot".into());
    desk.hello(4, domain::Hello { opened: 30, ..holding() });
    assert_eq!(desk.state(1), "running");
    desk.tell(Input::Closed { session: SessionId(4) });
    desk.hello(5, domain::Hello { incarnation: other, ..opened(1) });
    assert_eq!(desk.state(1), "queued", "a machine that was started again counts from 0");
}

#[test]
fn a_task_that_takes_down_five_workers_is_failed_not_handed_to_a_sixth() {
    let mut desk = Desk::new();
    // None of them is counted as a retry.
    desk.submit(1, shell());
    for no in 1..=5 {
        let session = u64::from(no);
        desk.worker(session, "w", 1).started(session, 1, no);
        desk.tell(Input::Closed { session: SessionId(session) }).pass(61.0);
    }
    assert_eq!((desk.state(1), desk.engine.stats().failed), ("gone", 1));
    assert_eq!(desk.events().pop().unwrap_or_default(), "16 finished: worker lost too often (5 times) (-1)");
}

#[test]
fn a_task_that_is_to_fail_fails_at_its_first_loss() {
    let mut desk = running(Spec { retry: RetryPolicy { max_retries: 3 }, ..spec(OnLost::Fail) });
    gone(&mut desk, 60.5);
    assert_eq!((desk.state(1), desk.events()), ("gone", vec!["4 finished: worker lost (-1)".to_owned()]));
    desk.hello(2, holding());
    assert_eq!(desk.orders(), ["2: welcome", "2: kill 1#1"], "its processes are ended on contact");

    let mut desk = running(spec(OnLost::Fail));
    desk.exit(1, 1, 1, Exit::Killed);
    assert_eq!(desk.state(1), "queued", "an interruption is no loss");
}

#[test]
fn a_task_that_waits_is_where_it_was_however_long_its_worker_is_away() {
    let mut desk = running(spec(OnLost::Wait));
    gone(&mut desk, 100_000.0);
    assert_eq!((desk.state(1), desk.engine.stats().lost), ("running", 0));
    let task = desk.engine.task(desk::id(1)).cloned().unwrap();
    let away = WaitReason::OutOfContact { worker: WorkerId::new("w"), waits: true };
    assert_eq!(waiting(&task, &desk.engine.snapshot(), || 0), Some(away));
    desk.restart();
    desk.pass(100_000.0);
    assert_eq!(desk.state(1), "running", "nor does a new reign conclude anything");
    desk.hello(2, holding()).exit(2, 1, 1, Exit::Code(0));
    assert_eq!((desk.state(1), desk.engine.stats().completed), ("gone", 1));
}

#[test]
fn a_task_that_waits_goes_on_when_its_worker_is_back_without_it() {
    let mut desk = running(spec(OnLost::Wait));
    gone(&mut desk, 1_000.0);
    desk.hello(2, hello("w"));
    assert_eq!((desk.state(1), desk.engine.stats().lost), ("queued", 1));
    let mut desk = running(spec(OnLost::Wait));
    gone(&mut desk, 1_000.0);
    desk.hello(2, domain::Hello { incarnation: Incarnation("boot-2".into()), ..hello("w") });
    assert_eq!(desk.state(1), "queued", "its machine was started anew: nothing of it is left");
}

#[test]
fn a_task_that_waits_goes_on_when_its_worker_is_forgotten() {
    let mut desk = running(spec(OnLost::Wait));
    gone(&mut desk, 1_000.0);
    desk.tell(Input::Forget { caller: Caller(7), worker: WorkerId::new("w") });
    assert!(desk.effects.contains(&Effect::Reply(Caller(7), Reply::Forgotten(Ok(1)))));
    assert_eq!((desk.state(1), desk.engine.stats().lost), ("queued", 1));
}

#[test]
fn a_cancel_ends_the_waiting_for_a_worker_unconfirmed() {
    let unconfirmed = "5 finished: cancelled (unconfirmed: worker w could not prove its processes gone) (-1)";
    for on_lost in OnLost::ALL {
        let mut desk = running(spec(on_lost));
        gone(&mut desk, 30.0);
        assert_eq!(desk.cancel(1), Ok(StateWord::Cancelling), "{on_lost:?}: it may be back in time");
        desk.pass(29.0);
        assert_eq!(desk.state(1), "cancelling");
        desk.pass(2.0);
        assert_eq!((desk.state(1), desk.events()), ("gone", vec![unconfirmed.to_owned()]), "{on_lost:?}");
        desk.hello(2, holding());
        assert_eq!(desk.orders(), ["2: welcome", "2: kill 1#1"], "before it takes work");
    }
    let mut desk = running(spec(OnLost::Wait));
    gone(&mut desk, 1_000.0);
    assert_eq!(desk.cancel(1), Ok(StateWord::Cancelled), "it has waited long enough");
    assert_eq!(desk.events()[1..], [unconfirmed.to_owned()]);
    assert_eq!(desk.cancel(1).map_err(|e| e.kind()), Err(Kind::Precondition));
}

#[test]
fn an_attempt_whose_end_nobody_reports_is_lost_long_after_its_time() {
    let timeout = Some(Duration::from_secs(300));
    let mut desk = running(Spec { timeout, ..shell() });
    beat(&mut desk, 415);
    assert_eq!(desk.state(1), "running", "300 s, 60 s of grace, 60 s");
    beat(&mut desk, 70);
    assert_eq!((desk.state(1), desk.engine.stats().lost), ("queued", 1), "lost, not timed out");
    desk.exit(1, 1, 1, Exit::TimedOut(Duration::from_secs(300)));
    assert_eq!(desk.engine.stats().refused.iter().find(|(_, n)| *n > 0), Some((Refusal::Over, 1)));

    for quiet in [Spec { timeout, ..spec(OnLost::Wait) }, shell()] {
        let mut desk = running(quiet);
        beat(&mut desk, 2_000);
        assert_eq!(desk.state(1), "running", "it waits, or has all the time it likes");
    }
    let mut desk = running(Spec { timeout, ..shell() });
    desk.report(1, attempt(1, 1), exited(Exit::Code(0), Totals { frames: 1, stdout: 9, stderr: 0 }));
    beat(&mut desk, 2_000);
    assert_eq!(desk.state(1), "running", "only its output is still under way");
}

/// The worker of session 1 says that it is there, and nothing else.
fn beat(desk: &mut Desk, seconds: u32) {
    for _ in 0..seconds / 5 {
        desk.pass(5.0).offer(1, 1, 0);
    }
}

#[test]
fn refused_reports_are_counted_by_reason() {
    let mut desk = running(shell());
    desk.worker(2, "v", 0).exit(2, 1, 1, Exit::Code(0)).exit(2, 1, 2, Exit::Code(0));
    assert_eq!(desk.state(1), "running");
    let counts: Vec<_> = desk.engine.stats().refused.iter().map(|(why, n)| (why.as_str(), n)).collect();
    assert_eq!(counts, [("over", 1), ("other_worker", 1), ("other_incarnation", 0), ("given_up", 0)]);
    gone(&mut desk, 61.0);
    desk.hello(3, holding());
    let given_up = desk.engine.stats().refused.iter().find(|(why, _)| *why == Refusal::GivenUp);
    assert_eq!(given_up, Some((Refusal::GivenUp, 1)));
}
