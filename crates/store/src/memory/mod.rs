//! The store of the simulator and of tests: the same answers as the embedded one, in memory, with faults on demand.
//!
//! Deterministic: no clock, no randomness, ordered maps only.

mod ahead;
mod apply;
mod expire;
mod list;
mod reader;
mod recount;

use crate::{Expired, Expiry, Failure, Opened, Reader, Reason, Store};
use domain::{
    Ahead, Batch, ClassKey, Commit, Counts, Epoch, Event, Fact, Found, Frame, Loaded, Need, Task, TaskId, Token,
    TokenId, UnixMillis, Want, WorkerId,
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
    tasks: BTreeMap<i64, Row>,
    /// By their array's row key and index.
    members: BTreeMap<(i64, u32), Row>,
    /// By the array's row key and rank.
    entries: BTreeMap<(i64, u64), Arc<str>>,
    keys: BTreeMap<[u8; 16], i64>,
    classes: Classes,
    progress: BTreeMap<(TaskId, u64), Event>,
    tails: BTreeMap<(TaskId, u32, u64), (u64, Frame)>,
    offered: BTreeSet<String>,
    paused: BTreeSet<String>,
    draining: BTreeSet<WorkerId>,
    tokens: BTreeMap<TokenId, Token>,
    faults: VecDeque<Fault>,
}

/// A task or member, and the number of its class.
#[derive(Clone)]
struct Row {
    task: Arc<Task>,
    class: u64,
}

/// Classes, numbered from 1 in the order of their appearance, and what is counted of each.
#[derive(Default)]
struct Classes {
    numbers: BTreeMap<Arc<ClassKey>, u64>,
    by_number: BTreeMap<u64, (Arc<ClassKey>, Counts)>,
}

impl Classes {
    fn intern(&mut self, key: &Arc<ClassKey>) -> u64 {
        let next = self.numbers.len() as u64 + 1;
        let number = *self.numbers.entry(Arc::clone(key)).or_insert(next);
        self.by_number.entry(number).or_insert_with(|| (Arc::clone(key), Counts::default()));
        number
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        let all = self.by_number.values().flat_map(|(_, counts)| counts.iter());
        all.for_each(|(word, n)| total.add(word, n));
        total
    }
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
        let (store_id, epoch, commit) = ("memory".into(), Epoch(disk.epoch), Commit(disk.commit));
        Ok(Opened {
            store_id,
            epoch,
            commit,
            remembered: None,
            restored: None,
            losses: Vec::new(),
            seal: crate::SealKey([0; 32]),
        })
    }

    fn remember(&mut self, _: &crate::Watermark) {
        // It is gone with its process, and whatever remembers it as well.
    }

    fn accept_loss(&mut self, _: UnixMillis, _: &[crate::Watermark]) -> Result<(), Failure> {
        // It never loses anything that it acknowledged.
        Ok(())
    }

    fn load(&mut self) -> Result<Loaded, Failure> {
        Ok(self.disk().load())
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure> {
        let mut disk = self.disk();
        let fault = disk.faults.pop_front();
        if let Some(Fault { failure, applied: false }) = fault {
            return Err(failure);
        }
        disk.check(batch)?;
        disk.apply(batch);
        fault.map_or(Ok(Commit(disk.commit)), |fault| Err(fault.failure))
    }

    fn fence(&mut self, epoch: Epoch) -> Result<(), Failure> {
        if epoch.0 == self.disk().epoch { Ok(()) } else { Err(Failure::Definite(Reason::StaleEpoch)) }
    }

    fn facts(&mut self, needs: &[Need]) -> Result<Vec<Fact>, Failure> {
        let disk = self.disk();
        let look = |need: &Need| {
            let found = match need {
                Need::Task(id) => disk.find(*id),
                Need::Key(key) => disk.keys.get(key).and_then(|row| disk.tasks.get(row)).map(plain),
            };
            Fact { need: need.clone(), found }
        };
        Ok(needs.iter().map(look).collect())
    }

    fn ahead(&mut self, want: &Want) -> Result<Ahead, Failure> {
        Ok(self.disk().ahead(want))
    }

    fn expire(&mut self, epoch: Epoch, step: &Expiry) -> Result<Expired, Failure> {
        self.fence(epoch)?;
        Ok(self.disk().expire(step))
    }

    fn commit_expiring(&mut self, batch: &Batch, step: &Expiry) -> Result<(Commit, Expired), Failure> {
        let commit = self.commit(batch)?;
        Ok((commit, self.disk().expire(step)))
    }

    fn keep_token(&mut self, epoch: Epoch, token: &Token, remove: &[TokenId]) -> Result<Commit, Failure> {
        self.fence(epoch)?;
        let mut disk = self.disk();
        for id in remove {
            disk.tokens.remove(id);
        }
        disk.tokens.insert(token.id, token.clone());
        disk.commit += 1;
        Ok(Commit(disk.commit))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }
}

fn plain(row: &Row) -> Found {
    Found { task: Task::clone(&row.task), row: true, array: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Write;

    #[test]
    fn an_unknown_commit_is_applied_or_not_and_a_restart_sees_which() {
        for applied in [true, false] {
            let disk = MemoryStore::new();
            let mut store = disk.clone();
            let epoch = store.begin().unwrap().epoch;
            let failure = Failure::Unknown("no answer".into());
            disk.fail_next(Fault { failure: failure.clone(), applied });
            let writes = vec![Write::Offered(["resize".to_owned()].into())];
            assert_eq!(store.commit(&Batch { epoch, writes, tallies: Vec::new(), ready_seq: 0 }), Err(failure));
            let mut again = disk.clone();
            let opened = again.begin().unwrap();
            assert_eq!((opened.commit.0 == 1, !again.load().unwrap().offered.is_empty()), (applied, applied));
        }
    }
}
