//! Which worker may run which task, and why none can.

use crate::Snapshot;
use domain::{
    Executor, OnLost, Requirement, Spec, State, Task, Wait, WaitReason, WorkerId, WorkerSnapshot, WorkerStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// The side of a worker that requirements look at.
pub(crate) struct Capability<'a> {
    pub worker: &'a WorkerId,
    pub labels: &'a BTreeMap<String, String>,
    pub shell: bool,
    pub docker: bool,
    pub handlers: &'a BTreeSet<String>,
    /// Takes handler tasks whose name nobody has ever offered.
    pub stray: bool,
}

/// The first part of a requirement that this worker doesn't meet, in words; `None`: it may run the task.
pub(crate) fn missing(need: &Requirement, on: &Capability<'_>, offered: &BTreeSet<String>) -> Option<String> {
    let Requirement { worker, labels, executor } = need;
    if let Some(worker) = worker
        && worker != on.worker
    {
        return Some(format!("the name {worker}"));
    }
    for (key, value) in labels {
        if on.labels.get(key) != Some(value) {
            return Some(format!("label {key}={value}"));
        }
    }
    match executor {
        Executor::Shell => (!on.shell).then(|| "the shell executor".into()),
        Executor::Docker => (!on.docker).then(|| "the docker executor".into()),
        Executor::Handler(name) if on.handlers.contains(name) || (on.stray && !offered.contains(name)) => None,
        Executor::Handler(name) => Some(format!("handler {name}")),
    }
}

/// Why a task isn't running: never `None` for a pending one. `behind` counts the queued tasks of its class that come first.
pub fn waiting(task: &Task, snapshot: &Snapshot, behind: impl FnOnce() -> u64) -> Option<WaitReason> {
    match &task.state {
        State::Pending(Wait::Queued) => Some(queued(&task.spec, snapshot, behind)),
        State::Pending(Wait::BackingOff(due)) => Some(WaitReason::BackingOff { until: due.at }),
        State::Pending(Wait::Delayed(due)) => Some(WaitReason::Delayed { until: due.at }),
        State::Dispatched(attempt) | State::Running(attempt) | State::Cancelling(attempt) => {
            let away = |w: &&WorkerSnapshot| w.status == WorkerStatus::Disconnected;
            let worker = snapshot.workers.iter().find(|w| w.hello.worker == attempt.worker).filter(away)?;
            let waits = task.spec.on_lost == OnLost::Wait;
            Some(WaitReason::OutOfContact { worker: worker.hello.worker.clone(), waits })
        }
        State::Begun { .. } | State::Final(_) => None,
    }
}

fn queued(spec: &Spec, snapshot: &Snapshot, behind: impl FnOnce() -> u64) -> WaitReason {
    if snapshot.paused.contains(&spec.queue) {
        return WaitReason::Paused { queue: spec.queue.clone() };
    }
    let here: Vec<_> = snapshot.workers.iter().filter(|w| w.status != WorkerStatus::Disconnected).collect();
    if let Some(worker) = &spec.worker
        && !here.iter().any(|w| w.hello.worker == *worker)
    {
        return WaitReason::WorkerAway(worker.clone());
    }
    if here.is_empty() {
        return WaitReason::NoWorker;
    }
    let need = Requirement::of(spec);
    let mut lacks: BTreeMap<String, usize> = BTreeMap::new();
    let mut matching: Vec<&WorkerSnapshot> = Vec::new();
    for worker in here {
        match missing(&need, &Capability::of(worker), &snapshot.offered) {
            Some(what) => *lacks.entry(what).or_default() += 1,
            None => matching.push(worker),
        }
    }
    if matching.is_empty() {
        let most = lacks.into_iter().max_by_key(|(_, workers)| *workers);
        let (requirement, workers) = most.unwrap_or_default();
        return WaitReason::NoMatch { requirement, workers };
    }
    let workers = matching.len();
    if matching.iter().all(|w| w.status == WorkerStatus::Draining) {
        return WaitReason::Draining { workers };
    }
    match behind() {
        0 if matching.iter().any(|w| w.free) => WaitReason::Starting,
        0 => WaitReason::NoFreeSlot { workers },
        behind => WaitReason::Queued { behind },
    }
}

/// For people: each connected worker, what it lacks to run this (`None`: nothing), and whether it would take a task now.
pub fn fits(spec: &Spec, snapshot: &Snapshot) -> Vec<(WorkerId, Option<String>, bool)> {
    let need = Requirement::of(spec);
    let here = snapshot.workers.iter().filter(|w| w.status != WorkerStatus::Disconnected);
    here.map(|w| (w.hello.worker.clone(), missing(&need, &Capability::of(w), &snapshot.offered), w.free)).collect()
}

impl<'a> Capability<'a> {
    fn of(snapshot: &'a WorkerSnapshot) -> Self {
        let hello = &snapshot.hello;
        Self {
            worker: &hello.worker,
            labels: &hello.labels,
            shell: hello.shell,
            docker: hello.docker,
            handlers: &hello.handlers,
            stray: hello.demo || hello.kill_level.is_none(),
        }
    }
}
