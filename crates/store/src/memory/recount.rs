//! The truth that counters are held against: everything counted anew.

use super::{Disk, MemoryStore};
use crate::waiting;
use domain::{ClassKey, Counts, StateWord, TaskId};
use std::{collections::BTreeMap, sync::Arc};

impl MemoryStore {
    /// All tasks by state, counted from the rows and, of arrays, from those and what they leave.
    pub fn recount(&self) -> Counts {
        let mut all = Counts::default();
        self.disk().each(|_, word, n| all.add(word, n));
        all
    }

    /// As [`MemoryStore::recount`], by class; classes without tasks are left out.
    pub fn recount_classes(&self) -> BTreeMap<Arc<ClassKey>, Counts> {
        let disk = self.disk();
        let mut classes: BTreeMap<Arc<ClassKey>, Counts> = BTreeMap::new();
        disk.each(|class, word, n| {
            if let Some((key, _)) = disk.classes.by_number.get(&class) {
                classes.entry(Arc::clone(key)).or_default().add(word, n);
            }
        });
        classes
    }

    /// Each array's members, counted from their rows and what those leave: what its books must say.
    pub fn recount_arrays(&self) -> BTreeMap<TaskId, Counts> {
        let disk = self.disk();
        let arrays = disk.tasks.iter().filter(|(_, row)| row.task.array.is_some());
        arrays.map(|(key, row)| (row.task.id, disk.members_of(*key))).collect()
    }

    /// The counters as they were kept, by class; classes without tasks are left out.
    pub fn class_counts(&self) -> BTreeMap<Arc<ClassKey>, Counts> {
        let disk = self.disk();
        let counted = disk.classes.by_number.values().filter(|(_, counts)| counts.total() > 0);
        counted.map(|(key, counts)| (Arc::clone(key), *counts)).collect()
    }
}

impl Disk {
    /// Tells of all tasks and members: their class, their state, how many.
    fn each(&self, mut tell: impl FnMut(u64, StateWord, u64)) {
        for (key, row) in &self.tasks {
            if row.task.array.is_none() {
                tell(row.class, row.task.state.word(), 1);
            } else {
                self.members_of(*key).iter().filter(|(_, n)| *n > 0).for_each(|(word, n)| tell(row.class, word, n));
            }
        }
    }

    /// The members of the array in this row, by state.
    fn members_of(&self, key: i64) -> Counts {
        let mut counts = Counts::default();
        let rows = self.members.range((key, 0)..=(key, u32::MAX));
        rows.filter_map(|(key, row)| self.member(*key, row)).for_each(|found| counts.add(found.task.state.word(), 1));
        if let Some((n, word)) = self.tasks.get(&key).and_then(|row| waiting::rest(&row.task)) {
            counts.add(word, n);
        }
        counts
    }
}
