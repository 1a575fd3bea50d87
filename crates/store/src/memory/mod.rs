//! The store of the simulator and of tests: the same answers as the embedded one, in memory, with faults on demand.
//!
//! Deterministic: no clock, no randomness, ordered maps only.

mod reader;

use crate::{Failure, Opened, Reader, Reason, Store};
use domain::{
    AttemptId, Batch, Commit, Epoch, Event, EventKind, Fact, Frame, Loaded, Need, StateWord, Task, TaskId, Write,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle on the data: clones share it, as processes share a disk, so that a restart can open it again.
#[derive(Clone, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
}

/// How a commit is to fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What the caller is told.
    pub failure: Failure,
    /// Whether the batch is applied all the same: only sensible with [`Failure::Unknown`].
    pub applied: bool,
}

#[derive(Default)]
struct Disk {
    epoch: u64,
    commit: u64,
    ready_seq: u64,
    /// By row key.
    tasks: BTreeMap<i64, Arc<Task>>,
    keys: BTreeMap<[u8; 16], i64>,
    progress: BTreeMap<(i64, u64), Event>,
    tails: BTreeMap<(i64, u32, u64), (u64, Frame)>,
    offered: BTreeSet<String>,
    faults: VecDeque<Fault>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next commit that has no fault yet fail so.
    pub fn fail_next(&self, fault: Fault) {
        self.disk().faults.push_back(fault);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing panics half-way through a change: what a poisoned lock guards is whole.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<Opened, Failure> {
        let mut disk = self.disk();
        disk.epoch += 1;
        Ok(Opened { store_id: "memory".into(), epoch: Epoch(disk.epoch), commit: Commit(disk.commit) })
    }

    fn load(&mut self) -> Result<Loaded, Failure> {
        let disk = self.disk();
        let mut tasks: Vec<Task> =
            disk.tasks.values().filter(|task| !task.state.is_final()).map(|task| Task::clone(task)).collect();
        tasks.sort_by_key(|task| task.ready_seq);
        Ok(Loaded { tasks, ready_seq: disk.ready_seq, offered: disk.offered.clone() })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure> {
        let mut disk = self.disk();
        let fault = disk.faults.pop_front();
        if let Some(Fault { failure, applied: false }) = fault {
            return Err(failure);
        }
        disk.check(batch)?;
        for write in &batch.writes {
            disk.apply(write);
        }
        disk.commit += 1;
        fault.map_or(Ok(Commit(disk.commit)), |fault| Err(fault.failure))
    }

    fn facts(&mut self, needs: &[Need]) -> Result<Vec<Fact>, Failure> {
        let disk = self.disk();
        let look = |need: &Need| {
            let task = match need {
                Need::Task(id) => disk.task(*id),
                Need::Key(key) => disk.keys.get(key).and_then(|row| disk.tasks.get(row)),
            };
            Fact { need: need.clone(), task: task.map(|task| Task::clone(task)) }
        };
        Ok(needs.iter().map(look).collect())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }
}

impl Disk {
    fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(&id.row_key()).filter(|task| task.id == id)
    }

    /// Whether the whole batch can be applied.
    fn check(&self, batch: &Batch) -> Result<(), Failure> {
        if batch.epoch.0 != self.epoch {
            return Err(Failure::Definite(Reason::StaleEpoch));
        }
        let (mut rows, mut keys) = (BTreeMap::new(), BTreeSet::new());
        for write in &batch.writes {
            match write {
                Write::Insert(task) => {
                    let row = task.id.row_key();
                    let key = task.spec.key.as_ref().map(|k| k.key);
                    let taken = key.is_some_and(|key| self.keys.contains_key(&key) || !keys.insert(key));
                    if taken || self.tasks.contains_key(&row) || rows.insert(row, task.id).is_some() {
                        return Err(Failure::Definite(Reason::Clash));
                    }
                }
                Write::Update(task) => {
                    if self.task(task.id).is_none() && rows.get(&task.id.row_key()) != Some(&task.id) {
                        return Err(Failure::Definite(Reason::Other(format!("no task {}", task.id))));
                    }
                }
                Write::Progressed { .. } | Write::Tail { .. } | Write::Offered(_) => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Insert(task) | Write::Update(task) => {
                let row = task.id.row_key();
                if let Some(key) = &task.spec.key {
                    self.keys.insert(key.key, row);
                }
                self.ready_seq = self.ready_seq.max(task.ready_seq);
                self.tasks.insert(row, task.clone());
            }
            Write::Progressed { task, stamp, attempt, progress } => {
                let kind = EventKind::Progressed(progress.clone());
                let event = Event { task: *task, stamp: *stamp, attempt: *attempt, kind };
                self.progress.insert((task.row_key(), stamp.event), event);
            }
            Write::Tail { after, frames } => {
                for frame in frames {
                    let AttemptId { task, no } = frame.attempt;
                    self.tails.insert((task.row_key(), no.0, frame.number), (*after, frame.clone()));
                }
            }
            Write::Offered(names) => self.offered.extend(names.iter().cloned()),
        }
    }

    fn count(&self, word: StateWord) -> u64 {
        self.tasks.values().filter(|task| task.state.word() == word).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_commit_is_applied_or_not_and_a_restart_sees_which() {
        for applied in [true, false] {
            let disk = MemoryStore::new();
            let mut store = disk.clone();
            let epoch = store.begin().unwrap().epoch;
            let failure = Failure::Unknown("no answer".into());
            disk.fail_next(Fault { failure: failure.clone(), applied });
            let batch = Batch { epoch, writes: vec![Write::Offered(["resize".to_owned()].into())] };
            assert_eq!(store.commit(&batch), Err(failure));
            let mut again = disk.clone();
            let opened = again.begin().unwrap();
            assert_eq!((opened.commit.0 == 1, !again.load().unwrap().offered.is_empty()), (applied, applied));
        }
    }
}
