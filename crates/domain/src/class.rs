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
    /// It must offer this handler; `None`: it must run commands.
    pub handler: Option<String>,
}

impl ClassKey {
    /// The class of a spec.
    pub fn of(spec: &Spec) -> Self {
        Self { queue: spec.queue.clone(), priority: spec.priority, requirement: Requirement::of(spec) }
    }

    /// Whether a spec is of this class: as comparing with [`ClassKey::of`], without making one.
    pub fn is_of(&self, spec: &Spec) -> bool {
        let Requirement { worker, labels, handler } = &self.requirement;
        self.priority == spec.priority
            && self.queue == spec.queue
            && *worker == spec.worker
            && *labels == spec.labels
            && handler.as_deref() == handler_of(spec)
    }
}

impl Requirement {
    /// What this spec asks for.
    pub fn of(spec: &Spec) -> Self {
        let handler = handler_of(spec).map(str::to_owned);
        Self { worker: spec.worker.clone(), labels: spec.labels.clone(), handler }
    }
}

fn handler_of(spec: &Spec) -> Option<&str> {
    match &spec.run {
        Run::Shell(_) => None,
        Run::Handler(_) => Some(&spec.name),
    }
}
