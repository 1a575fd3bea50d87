//! A batch's writes, checked first, so that all of them are applied or none.

use super::{Classes, Disk, Row};
use crate::{Failure, Reason};
use domain::{AttemptId, Batch, ClassKey, Event, EventKind, Task, TaskId, Write};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Disk {
    pub(super) fn check(&self, batch: &Batch) -> Result<(), Failure> {
        if batch.epoch.0 != self.epoch {
            return Err(Failure::Definite(Reason::StaleEpoch));
        }
        let (mut rows, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for write in &batch.writes {
            match write {
                Write::Insert { task, class: _ } => {
                    let key = task.spec.key.as_ref().filter(|_| task.id.index().is_none()).map(|k| k.key);
                    let taken = key.is_some_and(|key| self.keys.contains_key(&key) || !keys.insert(key));
                    // Another id of the same row clashes as well.
                    let row = (task.id.row_key(), task.id.index());
                    if taken || self.row(task.id).is_some() || !rows.insert(row) {
                        return Err(Failure::Definite(Reason::Clash));
                    }
                }
                Write::Update(task) => {
                    let there = self.row(task.id).is_some_and(|row| row.task.id == task.id);
                    if !there && !rows.contains(&(task.id.row_key(), task.id.index())) {
                        return Err(Failure::Definite(Reason::Other(format!("no task {}", task.id))));
                    }
                }
                Write::Entries { .. } | Write::Close { .. } => {}
                Write::Progressed { .. } | Write::Tail { .. } => {}
                Write::Offered(_) | Write::Paused { .. } | Write::Drained { .. } => {}
            }
        }
        for tally in &batch.tallies {
            let number = self.classes.numbers.get(&tally.class);
            let n = number.and_then(|n| self.classes.by_number.get(n)).map_or(0, |(_, counts)| counts.get(tally.word));
            if n.checked_add_signed(tally.by).is_none() {
                let text = format!("{n} {} tasks of {:?} and {}", tally.word.as_str(), tally.class, tally.by);
                return Err(Failure::Definite(Reason::Other(text)));
            }
        }
        Ok(())
    }

    /// Applies a batch that was checked.
    pub(super) fn apply(&mut self, batch: &Batch) {
        for write in &batch.writes {
            self.write(write);
        }
        for tally in &batch.tallies {
            let number = self.classes.intern(&tally.class);
            if let Some((_, counts)) = self.classes.by_number.get_mut(&number) {
                counts.change(tally.word, tally.by);
            }
        }
        self.ready_seq = self.ready_seq.max(batch.ready_seq);
        self.commit += 1;
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Insert { task, class } => self.insert(task, class),
            Write::Update(task) => {
                if let Some(row) = self.row_mut(task.id) {
                    row.task = Arc::clone(task);
                }
            }
            Write::Entries { array, first, entries } => {
                let ranked = (*first..).zip(entries).map(|(rank, entry)| ((array.row_key(), rank), entry.clone()));
                self.entries.extend(ranked);
            }
            Write::Close { array, at } => {
                let key = array.row_key();
                for (_, row) in self.members.range_mut((key, 0)..=(key, u32::MAX)) {
                    Arc::make_mut(&mut row.task).close(Some(*at));
                }
            }
            Write::Progressed { task, stamp, attempt, progress } => {
                let kind = EventKind::Progressed(progress.clone());
                let event = Event { task: *task, stamp: *stamp, attempt: *attempt, kind };
                self.progress.insert((*task, stamp.event), event);
            }
            Write::Tail { after, frames } => {
                for frame in frames {
                    let AttemptId { task, no } = frame.attempt;
                    self.tails.insert((task, no.0, frame.number), (*after, frame.clone()));
                }
            }
            Write::Offered(names) => self.offered.extend(names.iter().cloned()),
            Write::Paused { queue, on: true } => drop(self.paused.insert(queue.clone())),
            Write::Paused { queue, on: false } => drop(self.paused.remove(queue)),
            Write::Drained { worker, on: true } => drop(self.draining.insert(worker.clone())),
            Write::Drained { worker, on: false } => drop(self.draining.remove(worker)),
        }
    }

    fn insert(&mut self, task: &Arc<Task>, class: &Arc<ClassKey>) {
        let (key, class) = (task.id.row_key(), self.classes.intern(class));
        let row = Row { task: Arc::clone(task), class };
        match task.id.index() {
            Some(index) => drop(self.members.insert((key, index), row)),
            None => {
                if let Some(idem) = &task.spec.key {
                    self.keys.insert(idem.key, key);
                }
                self.tasks.insert(key, row);
            }
        }
    }

    fn row(&self, id: TaskId) -> Option<&Row> {
        match id.index() {
            Some(index) => self.members.get(&(id.row_key(), index)),
            None => self.tasks.get(&id.row_key()),
        }
    }

    fn row_mut(&mut self, id: TaskId) -> Option<&mut Row> {
        match id.index() {
            Some(index) => self.members.get_mut(&(id.row_key(), index)),
            None => self.tasks.get_mut(&id.row_key()),
        }
    }
}

impl Classes {
    pub(super) fn number(&self, key: &ClassKey) -> Option<u64> {
        self.numbers.get(key).copied()
    }
}
