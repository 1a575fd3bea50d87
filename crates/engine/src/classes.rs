//! Requirement classes: ready tasks of the same queue, priority and requirements share one FIFO.
//!
//! A worker with free slots looks at classes, not at tasks, so a million queued tasks cost nothing per decision. Order
//! within a class is by place, which the engine assigns; never the id, never a clock (PROTOCOL P4). Memory holds the classes
//! that a connected worker can run, and of each a window.

use crate::window::{Reach, Window};
use domain::{ClassKey, Place, Spec, Want};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Interned number of a class, in this reign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ClassId(pub u64);

/// Runs below this are short: the only ones that workers are sent ahead of free slots (PROTOCOL P1).
const SHORT: Duration = Duration::from_millis(20);
/// Weight of a new run time in the average, as a divisor: recent runs decide, one outlier doesn't.
const WEIGHT: u64 = 8;
/// Full windows that all classes together may have: with more classes each window is smaller.
const WINDOWS: usize = 4;
/// Classes without tasks that are remembered for their run times.
const IDLE: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Class {
    pub key: Arc<ClassKey>,
    pub window: Window<Place>,
    /// A connected worker can run it: only then is its backlog read.
    pub wanted: bool,
    /// Its head is an array of which it must first be read which members are next.
    stalled: bool,
    /// Tasks of it in memory.
    residents: usize,
    /// What it stands for in `heads`.
    head: Option<Place>,
    /// Running average of run times in microseconds; `None` before the first.
    run_us: Option<u64>,
}

/// All classes.
#[derive(Debug)]
pub(crate) struct Classes {
    by_key: BTreeMap<Arc<ClassKey>, ClassId>,
    classes: BTreeMap<ClassId, Class>,
    /// Those with something to give: higher priority first, then the one whose head has waited longest.
    heads: BTreeSet<(Reverse<i32>, Place, ClassId)>,
    /// Those without residents whose whole backlog is in memory: none. The oldest are forgotten.
    idle: BTreeSet<ClassId>,
    /// Queues of which nothing is given to workers.
    paused: BTreeSet<String>,
    /// Tasks in a window at most, roughly.
    size: usize,
    last: u64,
    /// What was found last.
    found: ClassId,
}

impl Classes {
    pub fn new(size: usize, paused: BTreeSet<String>) -> Self {
        Self {
            by_key: BTreeMap::new(),
            classes: BTreeMap::new(),
            heads: BTreeSet::new(),
            idle: BTreeSet::new(),
            paused,
            size,
            last: 0,
            found: ClassId(0),
        }
    }

    /// The class of a spec, if it is in memory.
    pub fn find(&mut self, spec: &Spec) -> Result<ClassId, Arc<ClassKey>> {
        // Mostly that of the one before.
        if self.classes.get(&self.found).is_none_or(|class| !class.key.is_of(spec)) {
            self.found = self.look_up(spec)?;
        }
        Ok(self.found)
    }

    /// As [`Classes::find`], for those who change nothing.
    pub fn look_up(&self, spec: &Spec) -> Result<ClassId, Arc<ClassKey>> {
        let key = ClassKey::of(spec);
        self.by_key.get(&key).copied().ok_or_else(|| Arc::new(key))
    }

    pub fn by_key(&self, key: &ClassKey) -> Option<ClassId> {
        self.by_key.get(key).copied()
    }

    /// Takes a class into memory. `wanted`: a connected worker can run it; `empty`: the store is known to have nothing of it.
    pub fn add(&mut self, key: Arc<ClassKey>, wanted: bool, empty: bool) -> ClassId {
        self.last += 1;
        let id = ClassId(self.last);
        let reach = if empty { Reach::All } else { Reach::UpTo(None) };
        self.by_key.insert(Arc::clone(&key), id);
        let window = Window::new(reach);
        self.classes.insert(id, Class { key, window, wanted, stalled: false, residents: 0, head: None, run_us: None });
        id
    }

    pub fn get(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(&id)
    }

    pub fn ids(&self) -> Vec<ClassId> {
        self.classes.keys().copied().collect()
    }

    /// What stands in all windows.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.classes.values().flat_map(|class| class.window.places())
    }

    /// Classes of a queue.
    pub fn of_queue(&self, queue: &str) -> Vec<ClassId> {
        self.classes.iter().filter(|(_, class)| class.key.queue == queue).map(|(id, _)| *id).collect()
    }

    pub fn paused(&self) -> &BTreeSet<String> {
        &self.paused
    }

    /// Pauses a queue, or lets it go on; false if it was so already.
    pub fn pause(&mut self, queue: &str, on: bool) -> bool {
        let changed = if on { self.paused.insert(queue.to_owned()) } else { self.paused.remove(queue) };
        for id in self.of_queue(queue) {
            self.change(id, |_| ());
        }
        changed
    }

    /// Puts a task at its place; what leaves the window for it is returned.
    pub fn push(&mut self, id: ClassId, place: Place) -> Vec<Place> {
        let size = self.window_size();
        self.change(id, |class| class.window.push(place, size)).unwrap_or_default()
    }

    /// Takes a task out; false if it wasn't there.
    pub fn remove(&mut self, id: ClassId, place: Place) -> bool {
        self.change(id, |class| class.window.remove(place)).unwrap_or(false)
    }

    /// The place at the head, if something may be given from there.
    pub fn head(&self, id: ClassId) -> Option<Place> {
        self.classes.get(&id)?.head
    }

    /// Classes with something to give, in the order in which they are served.
    pub fn ready(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.heads.iter().filter_map(|(_, _, id)| self.classes.get(id).map(|class| (*id, class)))
    }

    /// Gives nothing of a class until it is known what its head's next member is, or goes on.
    pub fn stall(&mut self, id: ClassId, stalled: bool) {
        self.change(id, |class| class.stalled = stalled);
    }

    /// Changes whether a worker can run it. What leaves memory is returned.
    pub fn want(&mut self, id: ClassId, wanted: bool) -> Vec<Place> {
        let change = |class: &mut Class| {
            class.wanted = wanted;
            if wanted { Vec::new() } else { class.window.unload() }
        };
        let out = self.change(id, change).unwrap_or_default();
        self.forget_if_unused(id);
        out
    }

    /// What must be read for this class now.
    pub fn look_ahead(&mut self, id: ClassId) -> Option<Want> {
        let size = self.window_size();
        let class = self.classes.get_mut(&id).filter(|class| class.wanted)?;
        let (after, limit) = class.window.want(size)?;
        Some(Want::Backlog { class: Arc::clone(&class.key), after, limit })
    }

    /// An answer came; false if it is to be dropped.
    pub fn answered(&mut self, id: ClassId, after: Option<Place>) -> bool {
        self.classes.get_mut(&id).is_some_and(|class| class.window.answered(after) && class.wanted)
    }

    /// The window reaches further.
    pub fn widen(&mut self, id: ClassId, reach: Reach<Place>) {
        self.change(id, |class| drop(class.window.widen(reach)));
    }

    /// A task of it came into memory.
    pub fn enter(&mut self, id: ClassId) {
        self.idle.remove(&id);
        if let Some(class) = self.classes.get_mut(&id) {
            class.residents += 1;
        }
    }

    /// A task of it left memory.
    pub fn leave(&mut self, id: ClassId) {
        if let Some(class) = self.classes.get_mut(&id) {
            class.residents = class.residents.saturating_sub(1);
        }
        self.forget_if_unused(id);
    }

    /// A class without residents is forgotten: at once if nobody can run it, later if it may be of use again.
    fn forget_if_unused(&mut self, id: ClassId) {
        let Some(class) = self.classes.get(&id).filter(|class| class.residents == 0) else { return };
        if !class.wanted {
            return self.forget(id);
        }
        if class.window.is_all() {
            self.idle.insert(id);
            if self.idle.len() > IDLE
                && let Some(oldest) = self.idle.pop_first()
            {
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, id: ClassId) {
        self.idle.remove(&id);
        if let Some(class) = self.classes.remove(&id) {
            self.by_key.remove(&class.key);
            if let Some(place) = class.head {
                self.heads.remove(&(Reverse(class.key.priority), place, id));
            }
        }
    }

    /// Learns how long a task of this class ran.
    pub fn ran(&mut self, id: ClassId, run_us: u64) {
        if let Some(class) = self.classes.get_mut(&id) {
            let average =
                class.run_us.map_or(run_us, |old| old.saturating_mul(WEIGHT - 1).saturating_add(run_us) / WEIGHT);
            class.run_us = Some(average);
        }
    }

    /// All windows together hold no more than some full ones.
    fn window_size(&self) -> usize {
        let share = self.size.saturating_mul(WINDOWS) / self.classes.len().max(1);
        share.clamp(self.size.min(16), self.size)
    }

    fn change<T>(&mut self, id: ClassId, edit: impl FnOnce(&mut Class) -> T) -> Option<T> {
        let class = self.classes.get_mut(&id)?;
        let answer = edit(class);
        let open = !class.stalled && class.wanted && !self.paused.contains(&class.key.queue);
        let head = class.window.first().filter(|_| open);
        if head != class.head {
            let priority = Reverse(class.key.priority);
            if let Some(place) = class.head {
                self.heads.remove(&(priority, place, id));
            }
            if let Some(place) = head {
                self.heads.insert((priority, place, id));
            }
            class.head = head;
        }
        Some(answer)
    }
}

impl Class {
    /// The place at its head, if something may be given from there.
    pub fn head(&self) -> Option<Place> {
        self.head
    }

    /// Whether its tasks are known to run for milliseconds only.
    pub fn is_short(&self) -> bool {
        self.run_us.is_some_and(|us| Duration::from_micros(us) < SHORT)
    }
}
