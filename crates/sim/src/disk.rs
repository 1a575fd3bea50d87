//! The disk: the model store behind the scheduler's processes, with what may go wrong there – and the planted bugs that
//! look, from above, as if the store or the engine had them.

use crate::{plant::Plant, rare::Rare, world::World};
use domain::{Ahead, Batch, Commit, Epoch, Fact, Found, Loaded, Need, OnLost, Spec, State, Task, TaskId, Want, Write};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use store::{
    Failure, Reason, Store as _,
    memory::{Fault, MemoryStore},
};

/// The disk and what will go wrong with it.
#[derive(Default)]
pub(crate) struct Disk {
    pub store: MemoryStore,
    /// Of the latest reign.
    pub epoch: domain::Epoch,
    /// So many commits of each reign have proved that it was the current one.
    pub proofs: BTreeMap<domain::Epoch, u64>,
    faults: VecDeque<Fault>,
    reads_fail: u32,
    /// For [`Plant::WritesReordered`].
    earlier: BTreeMap<TaskId, Arc<Task>>,
}

fn broken() -> Failure {
    Failure::Definite(Reason::Other("simulated EIO".into()))
}

impl Disk {
    /// The next commit fails: for certain, or so that nobody knows whether it was applied.
    pub fn fail_commit(&mut self, unknown: bool, applied: bool) {
        let failure = if unknown { Failure::Unknown("simulated".into()) } else { broken() };
        self.faults.push_back(Fault { failure, applied: unknown && applied });
    }

    /// The next look-up fails.
    pub fn fail_read(&mut self) {
        self.reads_fail += 1;
    }
}

impl World {
    /// Commits a batch of some reign.
    pub(crate) fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure> {
        let mut batch = batch.clone();
        if let Some(done) = self.plant_in(&mut batch) {
            return Ok(done);
        }
        let fault = if self.calm { None } else { self.disk.faults.pop_front() };
        if let Some(fault) = fault.clone() {
            self.disk.store.fail_next(fault);
        }
        let mut store = self.disk.store.clone();
        let result = store.commit(&batch);
        if result.is_ok() {
            *self.disk.proofs.entry(batch.epoch).or_default() += 1;
        }
        match (&result, fault.map(|fault| fault.applied)) {
            (Err(Failure::Unknown(_)), Some(true)) => self.sometimes(Rare::UnknownApplied),
            (Err(Failure::Unknown(_)), _) => self.sometimes(Rare::UnknownLost),
            (Err(Failure::Definite(Reason::StaleEpoch)), _) => self.sometimes(Rare::Deposed),
            (Err(Failure::Definite(_)), _) => self.sometimes(Rare::CommitRefused),
            (Ok(_), _) => {}
        }
        match result {
            Err(Failure::Unknown(_)) if self.plan.plant == Some(Plant::UnknownIsDone) => Ok(Commit(0)),
            result => result,
        }
    }

    /// Looks facts up.
    pub(crate) fn facts(&mut self, epoch: Epoch, needs: &[Need]) -> Result<Vec<Fact>, Failure> {
        self.read()?;
        let mut facts = self.disk.store.clone().facts(needs)?;
        self.fence(epoch)?;
        if self.plan.plant == Some(Plant::AttemptReused) {
            facts.iter_mut().filter_map(|fact| fact.found.as_mut()).for_each(|found| forget_attempt(&mut found.task));
        }
        Ok(facts)
    }

    /// Reads ahead.
    pub(crate) fn ahead(&mut self, epoch: Epoch, want: &Want) -> Result<Ahead, Failure> {
        self.read()?;
        let mut ahead = self.disk.store.clone().ahead(want)?;
        self.fence(epoch)?;
        let (Ahead::Backlog { found, .. } | Ahead::Waiting { found, .. }) = &mut ahead else { return Ok(ahead) };
        if self.plan.plant == Some(Plant::AttemptReused) {
            found.iter_mut().for_each(|Found { task, .. }| forget_attempt(task));
        }
        if self.plan.plant == Some(Plant::CursorSkips) && found.len() > 1 && self.rng.percent(20) {
            found.remove(0);
        }
        Ok(ahead)
    }

    /// What a later reign has written is not read by an earlier one.
    fn fence(&mut self, epoch: Epoch) -> Result<(), Failure> {
        let fenced = self.disk.store.clone().fence(epoch);
        if fenced.is_err() {
            self.sometimes(Rare::DeposedReader);
        }
        fenced
    }

    fn read(&mut self) -> Result<(), Failure> {
        if self.disk.reads_fail == 0 || self.calm {
            return Ok(());
        }
        self.disk.reads_fail -= 1;
        self.sometimes(Rare::ReadFailed);
        Err(broken())
    }

    /// What a new reign starts with.
    pub(crate) fn load(&mut self) -> Result<Loaded, Failure> {
        let mut loaded = self.disk.store.clone().load()?;
        if self.plan.plant == Some(Plant::WaitIgnored) {
            for task in &mut loaded.tasks {
                task.spec = impatient(&task.spec);
            }
        }
        Ok(loaded)
    }

    /// Bends a batch as a planted bug would. `Some`: it is said to be done.
    fn plant_in(&mut self, batch: &mut Batch) -> Option<Commit> {
        let plant = self.plan.plant?;
        match plant {
            Plant::LyingDisk if self.rng.percent(2) => return Some(Commit(0)),
            Plant::ForgetBeforeFence if batch.writes.is_empty() => return Some(Commit(0)),
            Plant::FenceOpen => batch.epoch = self.disk.epoch,
            Plant::CountsDrift if self.rng.percent(2) => drop(batch.tallies.pop()),
            Plant::KeyNotKept => batch.writes.iter_mut().for_each(drop_key),
            Plant::WritesReordered => {
                let mut old = Vec::new();
                for write in &batch.writes {
                    let Write::Update(task) = write else { continue };
                    match (&task.state, self.disk.earlier.get(&task.id)) {
                        (State::Final(_), Some(earlier)) if self.rng.percent(5) => {
                            old.push(Write::Update(Arc::clone(earlier)));
                        }
                        _ => drop(self.disk.earlier.insert(task.id, Arc::clone(task))),
                    }
                }
                batch.writes.extend(old);
            }
            _ => {}
        }
        None
    }
}

/// Planted: it isn't said that the task waits for its worker.
pub(crate) fn impatient(spec: &Spec) -> Arc<Spec> {
    Arc::new(Spec { on_lost: OnLost::Retry, ..spec.clone() })
}

/// Planted: it isn't said how long the task may wait.
pub(crate) fn patient_for_ever(spec: &Spec) -> Arc<Spec> {
    Arc::new(Spec { start_within: None, ..spec.clone() })
}

/// The record of the last attempt is gone: its number would be used again.
fn forget_attempt(task: &mut Task) {
    if let State::Pending(_) = task.state
        && task.ended.pop().is_some()
    {
        task.backed_off.pop();
    }
}

fn drop_key(write: &mut Write) {
    if let Write::Insert { task, class: _ } = write
        && task.spec.key.is_some()
    {
        let mut keyless = Task::clone(task);
        keyless.spec = Arc::new(Spec { key: None, ..Spec::clone(&task.spec) });
        *task = Arc::new(keyless);
    }
}
