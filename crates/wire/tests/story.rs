//! A task and its story as clients see them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{
    Attempt, AttemptId, AttemptNo, Due, Ending, Event, EventKind, Exit, Final, Frame, Incarnation, Members, Progress,
    Spec, Stamp, State, StateWord, StreamName, Task, TaskId, Totals, UnixMillis, Wait, WaitReason, WorkerId,
};
use std::{sync::Arc, time::Duration};
use wire::{
    ProgressView,
    v1::{self, TaskStatus, task_event},
};

fn id() -> TaskId {
    TaskId::from_parts(1_000_000, 0, 1, 2)
}

fn event(number: u64, attempt: u32, kind: EventKind) -> Event {
    let stamp = Stamp { event: number, at: UnixMillis(1_700_000_000_000 + i64::try_from(number).unwrap() * 1_000) };
    Event { task: id(), stamp, attempt, kind }
}

/// One retry, then success.
fn story() -> Vec<v1::TaskEvent> {
    let worker = WorkerId::new("w1");
    let progress = |percent| EventKind::Progressed(Progress { percent, message: format!("at {percent}") });
    let failed = Ending::Exited(Exit::Code(3));
    let until = UnixMillis(1_700_000_005_000 + 1_230);
    let events = [
        event(1, 0, EventKind::Accepted),
        event(2, 1, EventKind::Dispatched(worker.clone())),
        event(3, 1, EventKind::Started(worker.clone())),
        event(4, 1, progress(40)),
        event(5, 1, EventKind::AttemptEnded(failed, Some(until))),
        event(6, 2, EventKind::Dispatched(worker.clone())),
        event(7, 2, EventKind::Started(worker)),
        event(8, 2, progress(70)),
        event(9, 2, EventKind::Finished(Final::Completed, 0)),
    ];
    (1..).zip(&events).map(|(sequence, event)| wire::state_event(event, sequence)).collect()
}

#[test]
fn the_older_form_tells_the_story_from_pending_to_completed() {
    let mut view = ProgressView::default();
    let told: Vec<_> = story().iter().filter_map(|e| view.next(e)).collect();
    let told: Vec<_> = told.iter().map(|p| (p.status(), p.progress_percent, &*p.message)).collect();
    let expected = [
        (TaskStatus::Pending, 0, "accepted"),
        (TaskStatus::Dispatched, 0, "sent to worker w1"),
        (TaskStatus::Running, 0, "started on worker w1"),
        (TaskStatus::Running, 40, "at 40"),
        (TaskStatus::Pending, 40, "attempt 1: exit code 3; next in 1.2s"),
        (TaskStatus::Dispatched, 0, "sent to worker w1"),
        (TaskStatus::Running, 0, "started on worker w1"),
        (TaskStatus::Running, 70, "at 70"),
        (TaskStatus::Completed, 100, "completed"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn times_of_the_older_form_are_seconds() {
    let progress = ProgressView::default().next(&story()[0]).unwrap();
    assert_eq!((progress.timestamp, progress.task_id), (1_700_000_001, id().to_string()));
}

#[test]
fn ends_say_why_and_with_which_code() {
    let table = [
        (Final::Completed, 0, TaskStatus::Completed, "completed"),
        (Final::Failed("exit code 3".into()), 3, TaskStatus::Failed, "exit code 3"),
        (Final::Failed("signal 9 (SIGKILL)".into()), 137, TaskStatus::Failed, "signal 9 (SIGKILL)"),
        (Final::TimedOut("timed out after 1s".into()), -1, TaskStatus::TimedOut, "timed out after 1s"),
        (Final::Cancelled { unconfirmed: None }, -1, TaskStatus::Cancelled, "cancelled"),
    ];
    for (end, code, status, text) in table {
        let event = wire::state_event(&event(4, 1, EventKind::Finished(end, code)), 4);
        assert!(event.is_final());
        let Some(task_event::Event::State(state)) = event.event else { panic!("{event:?}") };
        assert_eq!((state.status(), state.exit_code, &*state.message), (status, code, text));
    }
}

#[test]
fn only_the_end_is_final() {
    let finals: Vec<_> = story().iter().map(v1::TaskEvent::is_final).collect();
    assert_eq!(finals.iter().filter(|f| **f).count(), 1);
    assert_eq!(finals.last(), Some(&true));
}

#[test]
fn output_has_a_place_of_its_own_in_the_story() {
    let attempt = AttemptId { task: id(), no: AttemptNo(2) };
    let frame = Frame {
        attempt,
        number: 17,
        stream: StreamName::Stderr,
        offset: 5,
        at: UnixMillis(9),
        data: vec![0, 255].into(),
        dropped: 0,
    };
    let event = wire::output_event(frame, 7, 30);
    assert_eq!((&*event.id, event.sequence, event.attempt), ("7.17", 30, 2));
    assert_eq!(ProgressView::default().next(&event), None);
    let Some(task_event::Event::Output(output)) = event.event else { panic!("no output") };
    assert_eq!((output.stream(), output.offset, &output.data[..]), (v1::OutputStream::Stderr, 5, &[0, 255][..]));
}

fn task(state: State, ended: Vec<Attempt>) -> Task {
    let shell = v1::ShellRun { command: "cat".into(), stdin: vec![1], ..Default::default() };
    let run = Some(v1::task_spec::Run::Shell(shell));
    let spec = Spec::try_from(v1::TaskSpec { name: "n".into(), run, ..Default::default() }).unwrap();
    let finished = if state.is_final() { Some(Stamp { event: 5, at: UnixMillis(50) }) } else { None };
    Task {
        id: id(),
        spec: Arc::new(spec),
        ready_seq: 1,
        accepted: Stamp { event: 1, at: UnixMillis(10) },
        state,
        backed_off: vec![None; ended.len()],
        ended,
        cancel: None,
        finished,
        events: 5,
        progress: Progress { percent: 40, message: "at 40".into() },
        result: vec![7],
        updated: UnixMillis(50),
        array: None,
        entry: None,
        retry_of: None,
    }
}

/// An array of ten: two completed, one failed, one runs.
fn an_array(state: State) -> Task {
    let ranges = vec![v1::Range { first: 1, last: 10 }];
    let entries = (0..10).map(|n| n.to_string()).collect();
    let spec = v1::TaskSpec {
        array: Some(v1::TaskArray { ranges, entries }),
        ..v1::TaskSpec::from(&*task(state.clone(), Vec::new()).spec)
    };
    let mut books = Members::new(10, StateWord::Queued);
    for (word, by) in
        [(StateWord::Queued, -4), (StateWord::Completed, 2), (StateWord::Failed, 1), (StateWord::Running, 1)]
    {
        books.counts.change(word, by);
    }
    Task {
        spec: Arc::new(Spec::try_from(spec).unwrap()),
        array: Some(books),
        retry_of: Some(TaskId::from_parts(7, 0, 1, 2)),
        ..task(state, Vec::new())
    }
}

fn attempt(ending: Option<Ending>) -> Attempt {
    Attempt {
        no: AttemptNo(1),
        worker: WorkerId::new("w1"),
        incarnation: Incarnation("i".into()),
        dispatched: Stamp { event: 2, at: UnixMillis(20) },
        started: Some(Stamp { event: 3, at: UnixMillis(30) }),
        ended: ending.map(|e| (Stamp { event: 5, at: UnixMillis(50) }, e)),
        totals: Totals { frames: 2, stdout: 10, stderr: 4 },
    }
}

#[test]
fn a_finished_task_says_how_it_ended() {
    let ended = attempt(Some(Ending::Exited(Exit::Code(3))));
    let shown = wire::v1_task(&task(State::Final(Final::Failed("exit code 3".into())), vec![ended]), &[], false);
    assert_eq!((shown.status(), &*shown.state, shown.exit_code), (TaskStatus::Failed, "failed", Some(3)));
    assert_eq!((&*shown.message, shown.progress_percent, &shown.result[..]), ("exit code 3", 40, &[7][..]));
    assert_eq!((shown.created_at_ms, shown.finished_at_ms, &*shown.worker_id), (10, 50, "w1"));
    let one = &shown.attempts[0];
    assert_eq!((one.number, one.exit_code, one.stdout_bytes, one.stderr_bytes), (1, Some(3), 10, 4));
    assert_eq!((one.dispatched_at_ms, one.started_at_ms, one.ended_at_ms, &*one.outcome), (20, 30, 50, "exit code 3"));
}

#[test]
fn a_running_task_has_no_exit_code_and_its_latest_message() {
    let shown = wire::v1_task(&task(State::Running(attempt(None)), Vec::new()), &[], false);
    assert_eq!((shown.status(), shown.exit_code, &*shown.message), (TaskStatus::Running, None, "at 40"));
    assert_eq!((shown.finished_at_ms, shown.attempts[0].ended_at_ms, &*shown.attempts[0].outcome), (0, 0, ""));
}

#[test]
fn a_waiting_task_says_why() {
    let reasons = [WaitReason::Queued { behind: 3 }];
    let shown = wire::v1_task(&task(State::Pending(Wait::Queued), Vec::new()), &reasons, false);
    let expected = v1::Waiting { code: "queued".into(), text: "queued behind 3".into() };
    assert_eq!((shown.status(), shown.waiting_for), (TaskStatus::Pending, vec![expected]));
}

#[test]
fn lists_leave_out_what_may_be_large() {
    let shown = wire::v1_task(&task(State::Pending(Wait::Queued), Vec::new()), &[], true);
    let spec = shown.spec.unwrap();
    let Some(v1::task_spec::Run::Shell(shell)) = spec.run else { panic!("no shell") };
    assert_eq!((shell.stdin.len(), spec.payload.len(), shown.result.len(), &*shell.command), (0, 0, 0, "cat"));
}

#[test]
fn a_delayed_task_is_pending_and_says_until_when() {
    let due = Due { at: UnixMillis(9_000), length: Duration::from_secs(9) };
    let reason = WaitReason::Delayed { until: due.at };
    let shown = wire::v1_task(&task(State::Pending(Wait::Delayed(due)), Vec::new()), &[reason], false);
    assert_eq!(
        (shown.status(), &*shown.state, &*shown.waiting_for[0].code),
        (TaskStatus::Pending, "delayed", "delayed")
    );
}

#[test]
fn an_array_is_shown_with_its_members_by_state() {
    let shown = wire::v1_task(&an_array(State::Begun { cancelling: false }), &[], false);
    assert_eq!((shown.status(), &*shown.state, shown.exit_code), (TaskStatus::Running, "running", None));
    assert_eq!((shown.progress_percent, &*shown.message), (30, "3 of 10 members final"));
    let members = shown.members.unwrap();
    assert_eq!((members.queued, members.running, members.completed, members.failed), (6, 1, 2, 1));
    assert_eq!(shown.retry_of, TaskId::from_parts(7, 0, 1, 2).to_string());
    let array = shown.spec.unwrap().array.unwrap();
    assert_eq!((array.ranges, array.entries.len()), (vec![v1::Range { first: 1, last: 10 }], 0));
}

#[test]
fn a_final_array_says_how_it_ended() {
    let end = "1 of 10 members failed";
    let shown = wire::v1_task(&an_array(State::Final(Final::Failed(end.into()))), &[], false);
    assert_eq!((shown.status(), &*shown.message, shown.exit_code), (TaskStatus::Failed, end, Some(1)));
}

#[test]
fn a_list_shows_an_array_without_its_ranges() {
    let shown = wire::v1_task(&an_array(State::Pending(Wait::Queued)), &[], true);
    assert_eq!(shown.spec.unwrap().array, None, "they may be a million");
    assert_eq!(shown.members.unwrap().queued, 6);
}

#[test]
fn a_member_says_whose_it_is_and_has_its_own_entry() {
    let member = an_array(State::Begun { cancelling: false }).member(4, Some("line four".into())).unwrap();
    let shown = wire::v1_task(&member, &[], false);
    assert_eq!((shown.task_id, shown.array_id), (format!("{}.4", id()), id().to_string()));
    assert_eq!((shown.array_index, shown.entry.as_deref()), (Some(4), Some("line four")));
    assert_eq!((shown.members, shown.spec.unwrap().array), (None, None), "a member is no array");
}

#[test]
fn an_array_begins_with_its_first_member() {
    let event = wire::state_event(&event(2, 0, EventKind::Begun), 2);
    let Some(task_event::Event::State(state)) = event.event else { panic!("no state") };
    assert_eq!(
        (state.status(), &*state.message, state.r#final),
        (TaskStatus::Running, "first member sent to a worker", false)
    );
}

#[test]
fn why_a_task_waits_is_explained_worker_by_worker() {
    let reason = WaitReason::NoMatch { requirement: "label gpu=a100".into(), workers: 2 };
    let fits = vec![(WorkerId::new("w1"), Some("label gpu=a100".into()), true), (WorkerId::new("w2"), None, false)];
    let shown = wire::v1_explained(StateWord::Queued, Some(&reason), fits);
    assert_eq!((shown.status(), &*shown.state), (TaskStatus::Pending, "queued"));
    assert_eq!(shown.waiting_for[0].text, "no worker has label gpu=a100 (2 connected)");
    let workers: Vec<_> = shown.workers.iter().map(|w| (&*w.worker_id, &*w.missing, w.free)).collect();
    assert_eq!(workers, [("w1", "label gpu=a100", true), ("w2", "", false)]);
}
