//! The simplest store there is: a map of committed tasks. It answers what an engine asks, and keeps books by itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{
    Ahead, ClassKey, Counts, Fact, Found, Loaded, Need, Place, State, StateWord, Tally, Task, TaskId, Wait, WaitPlace,
    Want, Write,
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Default)]
pub struct Shelf {
    pub tasks: BTreeMap<TaskId, Task>,
    entries: BTreeMap<TaskId, Vec<Arc<str>>>,
    /// As the engine tallies them.
    pub counts: Counts,
}

impl Shelf {
    pub fn commit(&mut self, writes: &[Write], tallies: &[Tally]) {
        for write in writes {
            match write {
                Write::Insert { task, .. } => {
                    let old = self.tasks.insert(task.id, Task::clone(task));
                    assert!(old.is_none(), "{} is inserted twice", task.id);
                }
                Write::Update(task) => {
                    let old = self.tasks.insert(task.id, Task::clone(task));
                    assert!(old.is_some(), "{} is updated and was never inserted", task.id);
                }
                Write::Entries { array, entries, .. } => drop(self.entries.insert(*array, entries.clone())),
                Write::Close { array, at } => {
                    for task in self.tasks.values_mut().filter(|task| task.id.array() == Some(*array)) {
                        task.close(Some(*at));
                    }
                }
                Write::Progressed { .. } | Write::Tail { .. } | Write::Offered(_) => {}
                Write::Paused { .. } | Write::Drained { .. } => {}
            }
        }
        engine::apply_tallies(&mut self.counts, tallies);
        assert_eq!(self.counts, self.truth(), "the tallies tell the truth");
    }

    /// All tasks by state, counted one by one.
    pub fn truth(&self) -> Counts {
        let mut counts = Counts::default();
        for task in self.tasks.values().filter(|task| task.id.index().is_none()) {
            match &task.array {
                None => counts.add(task.state.word(), 1),
                Some(books) => books.counts.iter().for_each(|(word, n)| counts.add(word, n)),
            }
        }
        counts
    }

    pub fn find(&self, id: TaskId) -> Option<Found> {
        let array = id.array().and_then(|array| self.tasks.get(&array)).cloned();
        if let Some(task) = self.tasks.get(&id) {
            return Some(Found { task: task.clone(), row: true, array });
        }
        let (whole, index) = (array.as_ref()?, id.index()?);
        let entry = self.entry(whole, index);
        Some(Found { task: whole.member(index, entry)?, row: false, array })
    }

    fn entry(&self, array: &Task, index: u32) -> Option<Arc<str>> {
        let rank = array.spec.array.as_ref()?.ranges.rank(index)?;
        self.entries.get(&array.id)?.get(rank as usize).cloned()
    }

    pub fn fact(&self, need: &Need) -> Fact {
        let found = match need {
            Need::Task(id) => self.find(*id),
            Need::Key(key) => {
                let with =
                    |task: &&Task| task.id.index().is_none() && task.spec.key.as_ref().is_some_and(|k| k.key == *key);
                self.tasks.values().find(with).and_then(|task| self.find(task.id))
            }
        };
        Fact { need: need.clone(), found }
    }

    pub fn read(&self, want: &Want) -> Ahead {
        match want {
            Want::Classes { .. } => {
                let mut classes: Vec<_> = self.queued().map(|task| Arc::new(ClassKey::of(&task.spec))).collect();
                classes.sort();
                classes.dedup();
                Ahead::Classes { classes, next: None }
            }
            Want::Backlog { class, after, limit } => {
                let of_class = self.queued().filter(|task| class.is_of(&task.spec));
                let mut places: Vec<Place> = of_class.map(Task::place).filter(|p| Some(*p) > *after).collect();
                places.sort();
                let more = places.len() > *limit;
                let found = places.iter().take(*limit).filter_map(|place| self.find(place.id)).collect();
                Ahead::Backlog { class: Arc::clone(class), after: *after, found, more }
            }
            Want::Waiting { after, limit } => {
                let place = |t: &Task| t.due().map(|due| WaitPlace { due_ms: due.at.0, id: t.id });
                let mut places: Vec<_> = self.tasks.values().filter_map(place).filter(|p| Some(*p) > *after).collect();
                places.sort();
                let more = places.len() > *limit;
                let found = places.iter().take(*limit).filter_map(|place| self.find(place.id)).collect();
                Ahead::Waiting { after: *after, found, more }
            }
            Want::Members { array, from, limit } => self.members(*array, *from, *limit),
        }
    }

    fn members(&self, array: TaskId, from: u64, limit: usize) -> Ahead {
        let whole = &self.tasks[&array];
        let ranges = &whole.spec.array.as_ref().unwrap().ranges;
        let to = (from + limit as u64).min(ranges.len());
        let index = |rank: &u64| array.member(ranges.index(*rank).unwrap());
        let early = (from..to).filter(|rank| self.tasks.contains_key(&index(rank))).collect();
        let entries = self.entries.get(&array).map(|all| all[from as usize..to as usize].to_vec()).unwrap_or_default();
        Ahead::Members { array, from, to, early, entries }
    }

    fn queued(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().filter(|task| match &task.state {
            State::Pending(Wait::Queued) | State::Begun { .. } => task.array.is_none() || task.has_rest(),
            _ => false,
        })
    }

    /// What a new reign starts from.
    pub fn load(&self, ready_seq: u64) -> Loaded {
        let live: Vec<Task> = self.tasks.values().filter(|task| task.state.live().is_some()).cloned().collect();
        let mut arrays: Vec<TaskId> = live.iter().filter_map(|task| task.id.array()).collect();
        arrays.dedup();
        let arrays = arrays.iter().filter_map(|id| self.tasks.get(id)).cloned().collect();
        Loaded { tasks: live, arrays, ready_seq, counts: self.counts, ..Loaded::default() }
    }

    pub fn word(&self, id: TaskId) -> Option<StateWord> {
        self.find(id).map(|found| found.task.state.word())
    }
}
