//! Rows as they are, and as an array's cancellation makes them.

use super::Disk;
use domain::{ClassKey, Counts, Found, State, Task, TaskId, Wait, limits};
use std::{collections::BTreeMap, sync::Arc};

impl Disk {
    /// The row of a task or member, if it has one.
    pub(super) fn row(&self, id: TaskId) -> Option<Task> {
        let mut task = Task::clone(self.tasks.get(&id)?);
        let books = id.array().and_then(|array| self.tasks.get(&array)).and_then(|array| array.array.as_ref());
        task.close(books.and_then(|books| books.closed));
        Some(task)
    }

    /// A task, or a member with its array, with a row or without.
    pub(super) fn find(&self, id: TaskId) -> Option<Found> {
        let array = id.array().and_then(|array| self.row(array));
        if let Some(task) = self.row(id) {
            return Some(Found { task, row: true, array });
        }
        let task = array.as_ref()?.member(id.index()?, self.entry(array.as_ref()?, id))?;
        Some(Found { task, row: false, array })
    }

    fn entry(&self, array: &Task, member: TaskId) -> Option<Arc<str>> {
        let rank = usize::try_from(array.rank(member)?).ok()?;
        self.entries.get(&array.id)?.get(rank).cloned()
    }

    /// Rows of an array's members.
    pub(super) fn members(&self, array: TaskId) -> impl DoubleEndedIterator<Item = Task> {
        let range = self.tasks.range(array.member(0)..=array.member(limits::ARRAY_INDEX));
        range.filter_map(|(id, _)| self.row(*id))
    }

    /// Whatever waits in a backlog.
    pub(super) fn queued(&self) -> impl Iterator<Item = Task> {
        self.tasks.keys().filter_map(|id| self.row(*id)).filter(|task| match &task.state {
            State::Pending(Wait::Queued) => task.array.is_none() || task.has_rest(),
            State::Begun { .. } => task.has_rest(),
            State::Pending(Wait::BackingOff(_) | Wait::Delayed(_)) => false,
            State::Dispatched(_) | State::Running(_) | State::Cancelling(_) | State::Final(_) => false,
        })
    }

    pub(super) fn recount(&self) -> BTreeMap<Arc<ClassKey>, Counts> {
        let mut truth: BTreeMap<Arc<ClassKey>, Counts> = BTreeMap::new();
        for task in self.tasks.values().filter(|task| task.id.index().is_none()) {
            let counts = truth.entry(Arc::new(ClassKey::of(&task.spec))).or_default();
            match &task.array {
                None => counts.add(task.state.word(), 1),
                Some(_) => {
                    let ranges = task.spec.array.iter().flat_map(|array| array.ranges.parts());
                    for index in ranges.flat_map(|part| part.first..=part.last) {
                        let member = self.find(task.id.member(index));
                        member.iter().for_each(|found| counts.add(found.task.state.word(), 1));
                    }
                }
            }
        }
        truth
    }
}
