//! One code a way of waiting: each is reached, and no pending task is without one.

mod desk;

use desk::{Desk, container, handler, hello, id, shell};
use domain::{
    Attempt, AttemptNo, Due, Incarnation, Spec, Stamp, State, Task, Totals, UnixMillis, Wait, WaitReason, WorkerId,
    WorkerSnapshot, WorkerStatus,
};
use engine::{Snapshot, waiting};
use std::{sync::Arc, time::Duration};

fn worker(status: WorkerStatus, free: bool) -> WorkerSnapshot {
    WorkerSnapshot { hello: hello("w"), status, running: 0, free, heard: UnixMillis(0) }
}

/// A task as the engine would have it, in this state.
fn task(spec: Spec, state: State) -> Task {
    let mut desk = Desk::new();
    desk.submit(1, shell());
    Task { spec: Arc::new(spec), state, ..desk.shelf.tasks[&id(1)].clone() }
}

fn running() -> State {
    let stamp = Stamp { event: 2, at: UnixMillis(0) };
    State::Running(Attempt {
        no: AttemptNo(1),
        worker: WorkerId::new("w"),
        incarnation: Incarnation("boot-1".into()),
        dispatched: stamp,
        started: Some(stamp),
        ended: None,
        totals: Totals::default(),
    })
}

#[test]
fn every_code_is_reached_and_says_what_it_is_about() {
    use WorkerStatus::{Connected, Disconnected, Draining};
    let queued = State::Pending(Wait::Queued);
    let due = Due { at: UnixMillis(7_000), length: Duration::from_secs(7) };
    let gpu = Spec { labels: [("gpu".to_owned(), "a100".to_owned())].into(), ..shell() };
    let pinned = Spec { worker: Some(WorkerId::new("v")), ..shell() };
    let paused = Spec { queue: "slow".into(), ..shell() };
    let here = |status, free| vec![worker(status, free)];
    let table = [
        ("queued", shell(), queued.clone(), here(Connected, true), 3, "behind 3"),
        ("queued", shell(), queued.clone(), here(Connected, true), 10_001, "behind more than 10000"),
        ("no_free_slot", shell(), queued.clone(), here(Connected, false), 0, "no free slot on 1"),
        ("no_worker", shell(), queued.clone(), here(Disconnected, false), 0, "no worker is connected"),
        ("no_match", gpu, queued.clone(), here(Connected, true), 0, "label gpu=a100 (1 connected)"),
        ("no_match", handler("resize"), queued.clone(), here(Connected, true), 0, "handler resize"),
        ("no_match", container(), queued.clone(), here(Connected, true), 0, "the docker executor (1 connected)"),
        ("worker_away", pinned, queued.clone(), here(Connected, true), 0, "worker v is not connected"),
        ("workers_draining", shell(), queued.clone(), here(Draining, false), 0, "all 1 matching"),
        ("queue_paused", paused, queued.clone(), here(Connected, true), 0, "queue slow is paused"),
        ("starting", shell(), queued.clone(), here(Connected, true), 0, "being sent"),
        ("delayed", shell(), State::Pending(Wait::Delayed(due)), here(Connected, true), 0, "7000"),
        ("backing_off", shell(), State::Pending(Wait::BackingOff(due)), here(Connected, true), 0, "7000"),
        ("worker_out_of_contact", shell(), running(), here(Disconnected, false), 0, "worker w"),
    ];
    let mut reached = std::collections::BTreeSet::new();
    for (code, spec, state, workers, behind, text) in table {
        let snapshot = Snapshot { workers, paused: ["slow".to_owned()].into(), ..Snapshot::default() };
        let reason = waiting(&task(spec, state), &snapshot, || behind);
        let said = reason.as_ref().map(|reason| (reason.code(), reason.text()));
        assert!(said.as_ref().is_some_and(|said| said.0 == code && said.1.contains(text)), "{code}: {said:?}");
        reached.insert(code);
    }
    assert_eq!(reached, WaitReason::CODES.into_iter().collect(), "the codes there are");
}

#[test]
fn what_runs_in_contact_or_is_over_waits_for_nothing() {
    let snapshot = Snapshot { workers: vec![worker(WorkerStatus::Connected, true)], ..Snapshot::default() };
    for state in [running(), State::Begun { cancelling: false }, State::Final(domain::Final::Completed)] {
        assert_eq!(waiting(&task(shell(), state), &snapshot, || 0), None);
    }
}
