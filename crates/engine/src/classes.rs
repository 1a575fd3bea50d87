//! Requirement classes: ready tasks of the same queue, priority and requirements share one FIFO.
//!
//! A worker with free slots looks at classes, not at tasks, so a million queued tasks cost nothing per decision. Order
//! within a class is `ready_seq`, which the engine assigns; never the id, never a clock (PROTOCOL P4).

use crate::placement::Requirement;
use domain::{Spec, TaskId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Interned number of a class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ClassId(pub u64);

/// What the tasks of a class have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ClassKey {
    pub queue: String,
    pub priority: i32,
    pub requirement: Requirement,
}

/// Runs below this are short: the only ones that workers are sent ahead of free slots (PROTOCOL P1).
const SHORT: Duration = Duration::from_millis(20);
/// Weight of a new run time in the average, as a divisor: recent runs decide, one outlier doesn't.
const WEIGHT: u64 = 8;

#[derive(Debug)]
pub(crate) struct Class {
    pub key: ClassKey,
    ready: BTreeMap<u64, TaskId>,
    /// Running average of run times in microseconds; `None` before the first.
    run_us: Option<u64>,
}

/// All classes.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    by_key: BTreeMap<ClassKey, ClassId>,
    classes: BTreeMap<ClassId, Class>,
    /// The non-empty ones: higher priority first, then the one whose head has waited longest.
    heads: BTreeSet<(Reverse<i32>, u64, ClassId)>,
    last: u64,
}

impl Classes {
    /// The class of a spec.
    pub fn intern(&mut self, spec: &Spec) -> ClassId {
        let key = ClassKey { queue: spec.queue.clone(), priority: spec.priority, requirement: Requirement::of(spec) };
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        self.last += 1;
        let id = ClassId(self.last);
        self.by_key.insert(key.clone(), id);
        self.classes.insert(id, Class { key, ready: BTreeMap::new(), run_us: None });
        id
    }

    pub fn get(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(&id)
    }

    /// Puts a task at its place.
    pub fn push(&mut self, id: ClassId, ready_seq: u64, task: TaskId) {
        self.change(id, |class| {
            class.ready.insert(ready_seq, task);
        });
    }

    /// Takes a task out; false if it wasn't there.
    pub fn remove(&mut self, id: ClassId, ready_seq: u64) -> bool {
        let mut found = false;
        self.change(id, |class| found = class.ready.remove(&ready_seq).is_some());
        found
    }

    /// The task at the head.
    pub fn head(&self, id: ClassId) -> Option<(u64, TaskId)> {
        self.classes.get(&id)?.ready.first_key_value().map(|(seq, task)| (*seq, *task))
    }

    /// Non-empty classes, in the order in which they are served.
    pub fn ready(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.heads.iter().filter_map(|(_, _, id)| self.classes.get(id).map(|class| (*id, class)))
    }

    /// Learns how long a task of this class ran.
    pub fn ran(&mut self, id: ClassId, run_us: u64) {
        if let Some(class) = self.classes.get_mut(&id) {
            let average = class.run_us.map_or(run_us, |old| (old * (WEIGHT - 1)).saturating_add(run_us) / WEIGHT);
            class.run_us = Some(average);
        }
    }

    /// Number of ready tasks in all.
    pub fn len(&self) -> usize {
        self.classes.values().map(|c| c.ready.len()).sum()
    }

    fn change(&mut self, id: ClassId, edit: impl FnOnce(&mut Class)) {
        let Some(class) = self.classes.get_mut(&id) else { return };
        let before = class.ready.keys().next().copied();
        edit(class);
        let after = class.ready.keys().next().copied();
        if before != after {
            let priority = Reverse(class.key.priority);
            if let Some(seq) = before {
                self.heads.remove(&(priority, seq, id));
            }
            if let Some(seq) = after {
                self.heads.insert((priority, seq, id));
            }
        }
    }
}

impl Class {
    /// Whether its tasks are known to run for milliseconds only.
    pub fn is_short(&self) -> bool {
        self.run_us.is_some_and(|us| Duration::from_micros(us) < SHORT)
    }

    /// How many of its tasks come before this place.
    pub fn ahead(&self, ready_seq: u64) -> u64 {
        self.ready.range(..ready_seq).count() as u64
    }
}
