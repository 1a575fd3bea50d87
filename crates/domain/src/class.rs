//! Requirement classes: what ready tasks that share one queue in the scheduler have in common.

use crate::{Run, Spec, WorkerId};
use std::collections::BTreeMap;

/// Tasks of the same queue, priority and requirements: one FIFO, in the order of their places.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClassKey {
    /// The queue's name.
    pub queue: String,
    /// Higher runs first.
    pub priority: i32,
    /// What a worker must have.
    pub requirement: Requirement,
}

/// What a task asks of a worker.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Requirement {
    /// Only this one.
    pub worker: Option<WorkerId>,
    /// It must carry these.
    pub labels: BTreeMap<String, String>,
    /// It must have this.
    pub executor: Executor,
}

/// Who runs a task.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Executor {
    /// Whoever runs commands.
    Shell,
    /// Whoever has a Docker engine.
    Docker,
    /// Whoever offers a handler of this name.
    Handler(String),
}

impl ClassKey {
    /// The class of a spec.
    pub fn of(spec: &Spec) -> Self {
        Self { queue: spec.queue.clone(), priority: spec.priority, requirement: Requirement::of(spec) }
    }

    /// Whether a spec is of this class: as comparing with [`ClassKey::of`], without making one.
    pub fn is_of(&self, spec: &Spec) -> bool {
        let Requirement { worker, labels, executor } = &self.requirement;
        self.priority == spec.priority
            && self.queue == spec.queue
            && *worker == spec.worker
            && *labels == spec.labels
            && executor.runs(spec)
    }
}

impl Requirement {
    /// What this spec asks for.
    pub fn of(spec: &Spec) -> Self {
        let executor = match &spec.run {
            Run::Shell(_) => Executor::Shell,
            Run::Docker(_) => Executor::Docker,
            Run::Handler(_) => Executor::Handler(spec.name.clone()),
        };
        Self { worker: spec.worker.clone(), labels: spec.labels.clone(), executor }
    }
}

impl Executor {
    fn runs(&self, spec: &Spec) -> bool {
        match (self, &spec.run) {
            (Self::Shell, Run::Shell(_)) | (Self::Docker, Run::Docker(_)) => true,
            (Self::Handler(name), Run::Handler(_)) => *name == spec.name,
            (Self::Shell | Self::Docker | Self::Handler(_), _) => false,
        }
    }
}
