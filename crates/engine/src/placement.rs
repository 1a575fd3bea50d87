//! Which worker may run which task, and why none can.

use domain::{Run, Spec, WaitReason, WorkerId, WorkerSnapshot, WorkerStatus};
use std::collections::{BTreeMap, BTreeSet};

/// What a task asks of a worker.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Requirement {
    worker: Option<WorkerId>,
    labels: BTreeMap<String, String>,
    /// `None`: it runs a command.
    handler: Option<String>,
}

/// The side of a worker that requirements look at.
pub(crate) struct Capability<'a> {
    pub worker: &'a WorkerId,
    pub labels: &'a BTreeMap<String, String>,
    pub shell: bool,
    pub handlers: &'a BTreeSet<String>,
    /// Takes handler tasks whose name nobody has ever offered.
    pub stray: bool,
}

impl Requirement {
    /// What this spec asks for.
    pub fn of(spec: &Spec) -> Self {
        let handler = match &spec.run {
            Run::Shell(_) => None,
            Run::Handler(_) => Some(spec.name.clone()),
        };
        Self { worker: spec.worker.clone(), labels: spec.labels.clone(), handler }
    }

    /// The first part of it that this worker doesn't meet, in words; `None`: it may run the task.
    pub(crate) fn missing(&self, on: &Capability<'_>, offered: &BTreeSet<String>) -> Option<String> {
        if let Some(worker) = &self.worker
            && worker != on.worker
        {
            return Some(format!("the name {worker}"));
        }
        for (key, value) in &self.labels {
            if on.labels.get(key) != Some(value) {
                return Some(format!("label {key}={value}"));
            }
        }
        match &self.handler {
            None if !on.shell => Some("the shell executor".into()),
            None => None,
            Some(name) if on.handlers.contains(name) || (on.stray && !offered.contains(name)) => None,
            Some(name) => Some(format!("handler {name}")),
        }
    }
}

/// Why a queued task waits, given the workers and how many tasks of its class come first.
/// `offered` are the handler names that any worker has ever offered.
pub fn explain(
    spec: &Spec,
    workers: &[WorkerSnapshot],
    offered: &BTreeSet<String>,
    behind: impl FnOnce() -> u64,
) -> Option<WaitReason> {
    let here: Vec<_> = workers.iter().filter(|w| w.status != WorkerStatus::Disconnected).collect();
    if let Some(worker) = &spec.worker
        && !here.iter().any(|w| w.hello.worker == *worker)
    {
        return Some(WaitReason::WorkerAway(worker.clone()));
    }
    if here.is_empty() {
        return Some(WaitReason::NoWorker);
    }
    let requirement = Requirement::of(spec);
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    let mut matching: Vec<&WorkerSnapshot> = Vec::new();
    for worker in &here {
        match requirement.missing(&Capability::of(worker), offered) {
            Some(what) => *missing.entry(what).or_default() += 1,
            None => matching.push(worker),
        }
    }
    if matching.is_empty() {
        let most = missing.into_iter().max_by_key(|(_, workers)| *workers);
        return most.map(|(requirement, workers)| WaitReason::NoMatch { requirement, workers });
    }
    match behind() {
        0 if matching.iter().any(|w| w.free) => None,
        0 => Some(WaitReason::NoFreeSlot { workers: matching.len() }),
        behind => Some(WaitReason::Queued { behind }),
    }
}

impl<'a> Capability<'a> {
    fn of(snapshot: &'a WorkerSnapshot) -> Self {
        let hello = &snapshot.hello;
        Self {
            worker: &hello.worker,
            labels: &hello.labels,
            shell: hello.shell,
            handlers: &hello.handlers,
            stray: hello.demo || hello.kill_level.is_none(),
        }
    }
}
