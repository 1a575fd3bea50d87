//! What the engine asks for: where it starts from, windows, facts. Simple walks over everything.

use super::{Disk, Row, plain};
use crate::waiting;
use domain::{Ahead, ClassKey, Found, Loaded, Place, StateWord, Task, TaskId, WaitPlace, Want};
use std::{collections::BTreeMap, sync::Arc};

impl Disk {
    pub(super) fn load(&self) -> Loaded {
        let live = |row: &&Row| row.task.state.live().is_some();
        let members = self.members.iter().filter(|(_, row)| live(row));
        let found: Vec<Found> = members.filter_map(|(key, row)| self.member(*key, row)).collect();
        let arrays: BTreeMap<TaskId, Task> =
            found.iter().filter_map(|found| found.array.clone()).map(|array| (array.id, array)).collect();
        let mut tasks: Vec<Task> = self.tasks.values().filter(live).map(|row| Task::clone(&row.task)).collect();
        tasks.extend(found.into_iter().map(|found| found.task));
        tasks.sort_by_key(Task::place);
        Loaded {
            tasks,
            arrays: arrays.into_values().collect(),
            ready_seq: self.ready_seq,
            offered: self.offered.clone(),
            counts: self.classes.total(),
            paused: self.paused.clone(),
            draining: self.draining.clone(),
        }
    }

    /// The task or member of this id.
    pub(super) fn find(&self, id: TaskId) -> Option<Found> {
        let row = self.tasks.get(&id.row_key()).filter(|row| row.task.id == id.whole())?;
        let Some(index) = id.index() else { return Some(plain(row)) };
        let (array, key) = (&row.task, (id.row_key(), index));
        if let Some(row) = self.members.get(&key) {
            return self.member(key, row);
        }
        let rank = array.rank(id).filter(|rank| waiting::computed(array, *rank))?;
        let task = array.member(index, self.entry(array, rank))?;
        Some(Found { task, row: false, array: Some(Task::clone(array)) })
    }

    /// A member that has a row.
    pub(super) fn member(&self, (key, _): (i64, u32), row: &Row) -> Option<Found> {
        let array = &self.tasks.get(&key)?.task;
        let mut task = Task::clone(&row.task);
        task.close(array.array.as_ref()?.closed);
        task.entry = array.rank(task.id).and_then(|rank| self.entry(array, rank));
        Some(Found { task, row: true, array: Some(Task::clone(array)) })
    }

    pub(super) fn entry(&self, array: &Task, rank: u64) -> Option<Arc<str>> {
        self.entries.get(&(array.id.row_key(), rank)).cloned()
    }

    pub(super) fn ahead(&self, want: &Want) -> Ahead {
        match want {
            Want::Classes { after, limit } => self.queued_classes(*after, *limit),
            Want::Backlog { class, after, limit } => self.backlog(class, *after, *limit),
            Want::Waiting { after, limit } => self.waiting(*after, *limit),
            Want::Members { array, from, limit } => self.array_members(*array, *from, *limit),
        }
    }

    fn queued_classes(&self, after: u64, limit: usize) -> Ahead {
        let queued = |(_, (_, counts)): &(_, &(_, domain::Counts))| counts.get(StateWord::Queued) > 0;
        let behind = self.classes.by_number.range(after.saturating_add(1)..).filter(queued);
        let mut page: Vec<(u64, Arc<ClassKey>)> =
            behind.take(limit + 1).map(|(n, (key, _))| (*n, key.clone())).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = more.then(|| page.last().map_or(after, |(number, _)| *number));
        Ahead::Classes { classes: page.into_iter().map(|(_, key)| key).collect(), next }
    }

    /// All rows, members included, each with a place that `place` knows, behind `after`, in order.
    fn window<P: Ord + Copy>(
        &self,
        place: impl Fn(&Row) -> Option<P>,
        after: Option<P>,
        limit: usize,
    ) -> (Vec<Found>, bool) {
        let placed = |row: &Row| place(row).filter(|place| after.is_none_or(|after| *place > after));
        let tasks = self.tasks.values().filter_map(|row| Some((placed(row)?, plain(row))));
        let members = self.members.iter().filter_map(|(key, row)| Some((placed(row)?, self.member(*key, row)?)));
        let mut found: Vec<(P, Found)> = tasks.chain(members).collect();
        found.sort_by_key(|(place, _)| *place);
        let more = found.len() > limit;
        (found.into_iter().take(limit).map(|(_, found)| found).collect(), more)
    }

    fn backlog(&self, class: &Arc<ClassKey>, after: Option<Place>, limit: usize) -> Ahead {
        let number = self.classes.number(class);
        let place = |row: &Row| {
            let ready_seq = waiting::ready(&row.task).filter(|_| Some(row.class) == number)?;
            Some(Place { ready_seq, id: row.task.id })
        };
        let (found, more) = self.window(place, after, limit);
        Ahead::Backlog { class: Arc::clone(class), after, found, more }
    }

    fn waiting(&self, after: Option<WaitPlace>, limit: usize) -> Ahead {
        let place = |row: &Row| waiting::due_ms(&row.task).map(|due_ms| WaitPlace { due_ms, id: row.task.id });
        let (found, more) = self.window(place, after, limit);
        Ahead::Waiting { after, found, more }
    }

    fn array_members(&self, id: TaskId, from: u64, limit: usize) -> Ahead {
        let array = self.tasks.get(&id.row_key()).filter(|row| row.task.id == id);
        let spec = array.and_then(|row| row.task.spec.array.as_ref());
        let to = spec.map_or(from, |spec| from.saturating_add(limit as u64).min(spec.ranges.len())).max(from);
        let index = |rank| spec.and_then(|spec| spec.ranges.index(rank));
        let has_row = |rank: &u64| index(*rank).is_some_and(|i| self.members.contains_key(&(id.row_key(), i)));
        let entries = self.entries.range((id.row_key(), from)..(id.row_key(), to)).map(|(_, entry)| entry.clone());
        Ahead::Members { array: id, from, to, early: (from..to).filter(has_row).collect(), entries: entries.collect() }
    }
}
