//! The life of tasks: ends, retries, cancels, losses.

mod desk;

use desk::{Desk, attempt, exited, hello, id, key, new, shell};
use domain::{
    Ending, Exit, HeldAttempt, HeldPhase, Kind, Need, Progress, ReportKind, RetryPolicy, Spec, StateWord, Totals,
};
use engine::{Caller, Input};
use std::time::Duration;

/// A task that runs on worker `w`, session 1, which has one slot.
fn running(spec: Spec) -> Desk {
    let mut desk = Desk::new();
    desk.worker(1, "w", 1).submit(1, spec).started(1, 1, 1);
    assert_eq!(desk.state(1), "running");
    desk
}

#[test]
fn each_exit_leads_to_its_end() {
    let table = [
        (Exit::Code(0), "3 finished: completed (0)"),
        (Exit::Code(7), "3 finished: exit code 7 (7)"),
        (Exit::Signal(9), "3 finished: signal 9 (SIGKILL) (137)"),
        (Exit::TimedOut(Duration::from_secs(1)), "3 finished: timed out after 1s (-1)"),
        (Exit::NotStarted("no such file".into()), "3 finished: not started: no such file (-1)"),
        (Exit::HandlerError("bad input".into()), "3 finished: bad input (1)"),
    ];
    for (exit, want) in table {
        let mut desk = Desk::new();
        desk.worker(1, "w", 1).submit(1, shell()).exit(1, 1, 1, exit.clone());
        let last = desk.events().pop().unwrap_or_default();
        // A start that was never reported is an event as well, if there was one.
        assert_eq!(last.split_once(' ').map(|l| l.1), want.split_once(' ').map(|w| w.1), "{exit:?}");
        assert_eq!((desk.state(1), desk.orders()), ("gone", vec!["1: forget 1".to_owned()]));
    }
}

#[test]
fn a_failed_attempt_is_tried_again_after_back_off_at_its_old_place() {
    let mut desk = running(Spec { retry: RetryPolicy { max_retries: 1 }, ..shell() });
    desk.submit(2, Spec { retry: RetryPolicy { max_retries: 1 }, ..shell() });
    desk.exit(1, 1, 1, Exit::Code(1));
    assert_eq!(desk.state(1), "backing_off");
    assert_eq!(desk.pass(0.7).state(1), "backing_off", "1 s less 20 % is the least");
    assert_eq!(desk.pass(0.6).state(1), "queued");
    desk.offer(1, 2, 0);
    assert_eq!(desk.orders(), ["1: start 1#2"], "not behind task 2");
    desk.exit(1, 1, 2, Exit::Code(1));
    assert_eq!(desk.state(1), "gone", "that was the only retry");
}

#[test]
fn cancel_in_each_state() {
    let mut desk = Desk::new();
    desk.submit(1, shell());
    assert_eq!(desk.cancel(1), Ok(StateWord::Cancelled), "queued: final at once");

    let mut desk = running(shell());
    assert_eq!(desk.cancel(1), Ok(StateWord::Cancelling));
    assert_eq!(desk.orders(), ["1: kill 1#1"]);
    assert_eq!(desk.cancel(1), Ok(StateWord::Cancelling), "a second cancel joins the first");
    desk.exit(1, 1, 1, Exit::Code(0));
    assert_eq!(desk.events(), ["5 finished: cancelled (0)"], "an exit 0 in between is still cancelled");

    let mut desk = running(Spec { retry: RetryPolicy { max_retries: 1 }, ..shell() });
    desk.exit(1, 1, 1, Exit::Code(1));
    assert_eq!(desk.cancel(1), Ok(StateWord::Cancelled), "backing off: final at once");
    assert_eq!(desk.pass(10.0).state(1), "gone");

    let error = desk.cancel(9).err().map(|e| e.kind());
    assert_eq!(error, Some(Kind::NotFound));
}

#[test]
fn a_final_task_out_of_memory_is_found_by_its_fact() {
    let mut desk = running(shell());
    desk.exit(1, 1, 1, Exit::Code(0));
    assert_eq!(desk.engine.task(id(1)), None);
    let cancel = Input::Cancel { caller: Caller(1), tasks: vec![id(1)] };
    assert_eq!(desk.engine.needs(&cancel), [Need::Task(id(1))]);
    let error = desk.cancel(1).unwrap_err();
    assert!(error.text().ends_with("is already completed"), "{error}");
}

#[test]
fn two_workers_with_one_name_are_not_let_in_but_one_that_reconnects_is() {
    let mut desk = Desk::new();
    desk.worker(1, "w", 1);
    let other = domain::Hello { incarnation: domain::Incarnation("boot-2".into()), ..hello("w") };
    desk.hello(2, other);
    assert!(desk.orders().iter().any(|o| o.starts_with("2: close worker_id")), "{:?}", desk.orders());
    desk.hello(3, hello("w"));
    assert!(desk.orders()[0].starts_with("1: close replaced"), "{:?}", desk.orders());
}

#[test]
fn a_task_completes_only_when_its_streamed_output_is_stored() {
    let mut desk = running(shell());
    let totals = Totals { frames: 3, stdout: 300, stderr: 0 };
    desk.report(1, attempt(1, 1), exited(Exit::Code(0), totals));
    assert_eq!((desk.state(1), desk.orders().len()), ("running", 0), "the exit isn't acknowledged");
    desk.tell(Input::OutputStored { attempt: attempt(1, 1), frames: 2 });
    assert_eq!(desk.state(1), "running");
    desk.tell(Input::OutputStored { attempt: attempt(1, 1), frames: 3 });
    assert_eq!((desk.state(1), desk.orders()), ("gone", vec!["1: forget 2".to_owned()]));
}

#[test]
fn progress_is_an_event_at_most_once_a_second_and_the_last_one_always() {
    let mut desk = running(shell());
    let percent = |percent| ReportKind::Progressed(Progress { percent, message: String::new() });
    assert_eq!(desk.report(1, attempt(1, 1), percent(10)).events(), ["4 progress 10"]);
    assert_eq!(desk.report(1, attempt(1, 1), percent(20)).events().len(), 0);
    assert_eq!(desk.report(1, attempt(1, 1), percent(30)).events().len(), 0);
    assert_eq!(desk.pass(1.0).events(), ["5 progress 30"], "the latest, when its second is over");
    assert_eq!(desk.report(1, attempt(1, 1), percent(90)).events().len(), 0);
    assert_eq!(desk.exit(1, 1, 1, Exit::Code(0)).events(), ["6 progress 90", "7 finished: completed (0)"]);
}

#[test]
fn the_same_key_and_body_is_the_same_task_and_another_body_is_a_conflict() {
    let mut desk = Desk::new();
    desk.submit(1, Spec { key: key(1, 1), ..shell() });
    let again = desk.submit(2, Spec { key: key(1, 1), ..shell() }).accepted();
    assert_eq!(again.map(|a| a[0].id), Ok(id(1)));
    let other = desk.submit(3, Spec { key: key(1, 2), ..shell() }).accepted();
    assert_eq!(other.map_err(|e| e.kind()).err(), Some(Kind::Conflict));
    assert_eq!((desk.state(2), desk.state(3)), ("gone", "gone"), "nothing was added");
}

#[test]
fn a_repeated_call_changes_nothing() {
    let mut desk = Desk::new();
    desk.submit(1, shell());
    let again = Input::Submit { caller: Caller(1), tasks: vec![new(1, shell())], repeated: true, brief: true };
    desk.tell(again);
    assert_eq!((desk.accepted().map(|a| a[0].id), desk.writes.len()), (Ok(id(1)), 0));
}

#[test]
fn an_interrupted_attempt_is_not_counted_as_failed() {
    let mut desk = running(shell());
    desk.exit(1, 1, 1, Exit::Killed);
    assert_eq!((desk.state(1), desk.events().len()), ("queued", 1));
}

#[test]
fn a_reign_goes_on_where_the_store_stands() {
    let mut desk = running(Spec { retry: RetryPolicy { max_retries: 3 }, ..shell() });
    desk.submit(2, shell());
    desk.restart();
    assert_eq!((desk.state(1), desk.state(2)), ("running", "queued"));
    let held = HeldAttempt { attempt: attempt(1, 1), phase: HeldPhase::Exited, totals: Totals::default() };
    desk.hello(1, domain::Hello { held: vec![held], ..hello("w") }).exit(1, 1, 1, Exit::Code(0));
    assert_eq!((desk.state(1), desk.engine.stats().lost), ("gone", 0));
    assert_ne!(Ending::Lost.text(), "");
}
