//! Residents: the tasks in memory. A task comes in when it is submitted, named, or next; it leaves when it is committed and
//! neither runs nor is next (PROTOCOL P4.4).

use crate::{
    ClassId, Engine, SessionId, members::MembersAhead, task_machine::Trigger, task_machine::move_to, timers::Timer,
};
use domain::{
    Exit, Found, FrameNo, Monotonic, Now, Place, Progress, State, Tail, Task, TaskId, Totals, Wait, WaitPlace,
};
use std::sync::Arc;

/// A task in memory.
#[derive(Debug)]
pub(crate) struct Resident {
    pub task: Arc<Task>,
    pub class: ClassId,
    /// Whether the store has a row of it, or the batch that is being gathered.
    pub row: bool,
    /// What the batch that is being gathered has of it.
    pub change: Change,
    /// Batches with a change of it that aren't committed.
    pub unsaved: u32,
    /// Since when this reign knows that the live attempt runs.
    pub running_since: Option<Monotonic>,
    /// How far the output of the live attempt is stored.
    pub stored: FrameNo,
    /// Its live attempt has exited, but not all of its output is stored.
    pub finishing: Option<Box<Finishing>>,
    /// When progress last became an event, and what came since.
    pub progress: Thinned,
    /// Members of this array in memory.
    pub members: usize,
    /// What is known of this array's next members.
    pub ahead: Option<Box<MembersAhead>>,
}

/// What the batch that is being gathered has of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Change {
    #[default]
    None,
    /// Its first record.
    New,
    /// Another record.
    Known,
}

#[derive(Debug, Default)]
pub(crate) struct Thinned {
    pub last: Option<Monotonic>,
    pub held: Option<Progress>,
}

/// An exit report that waits for the attempt's output. It isn't acknowledged yet, so a crash here loses nothing.
#[derive(Debug)]
pub(crate) struct Finishing {
    pub exit: Exit,
    pub totals: Totals,
    pub tail: Tail,
    pub result: Vec<u8>,
    pub tree_gone: bool,
    /// To acknowledge when done: session and report number.
    pub report: Option<(SessionId, u64)>,
}

impl Resident {
    fn new(task: Arc<Task>, class: ClassId, row: bool) -> Self {
        Self {
            task,
            class,
            row,
            change: Change::None,
            unsaved: 0,
            running_since: None,
            stored: 0,
            finishing: None,
            progress: Thinned::default(),
            members: 0,
            ahead: None,
        }
    }

    /// The record, to change it: copies it if a sealed batch still holds it.
    pub fn edit(&mut self) -> &mut Task {
        Arc::make_mut(&mut self.task)
    }
}

/// Whether a task waits in its class's backlog: an array does as long as members of it wait for their turn.
fn is_queued(task: &Task) -> bool {
    match &task.state {
        State::Pending(Wait::Queued) => task.array.is_none() || task.has_rest(),
        State::Begun { .. } => task.has_rest(),
        State::Pending(Wait::BackingOff(_) | Wait::Delayed(_)) => false,
        State::Dispatched(_) | State::Running(_) | State::Cancelling(_) | State::Final(_) => false,
    }
}

fn wait_place(task: &Task) -> Option<WaitPlace> {
    task.due().map(|due| WaitPlace { due_ms: due.at.0, id: task.id })
}

impl Engine {
    /// Takes a task into memory, without a place anywhere.
    pub(crate) fn enter(&mut self, task: Arc<Task>, class: ClassId, row: bool) {
        let id = task.id;
        if let Some(key) = task.spec.key.as_ref().filter(|_| id.index().is_none()) {
            self.keys.insert(key.key, id);
        }
        if let Some(array) = id.array().and_then(|array| self.tasks.get_mut(&array)) {
            array.members += 1;
        }
        if id.index().is_some() {
            self.members.insert(id);
        }
        self.classes.enter(class);
        self.tasks.insert(id, Resident::new(task, class, row));
    }

    /// Takes what the store has into memory, unless it is there. A member brings its array.
    pub(crate) fn page_in(&mut self, now: Now, found: Found) {
        let Found { mut task, row, array } = found;
        if self.tasks.contains_key(&task.id) {
            return;
        }
        if let Some(array) = array {
            self.page_in(now, Found { task: array, row: true, array: None });
        }
        // The array in memory may know better than the store does.
        if let Some(array) = task.id.array().and_then(|array| self.tasks.get(&array)) {
            let fresh = task.id.index().filter(|_| !row).and_then(|i| array.task.member(i, task.entry.clone()));
            task = fresh.unwrap_or(task);
            task.close(array.task.array.as_ref().and_then(|books| books.closed));
        }
        if task.state.is_final() {
            return self.release(task.id.whole());
        }
        let (id, class) = (task.id, self.intern(&task.spec));
        self.enter(Arc::new(task), class, row);
        // What has no row waits in its array, not by itself.
        if row {
            self.line_up(now, id);
        }
    }

    /// Puts a task at its place among those of its class, or among those that wait for time.
    pub(crate) fn line_up(&mut self, now: Now, id: TaskId) {
        let Some(resident) = self.tasks.get(&id) else { return };
        let (class, queued) = (resident.class, is_queued(&resident.task));
        let (place, wait) = (resident.task.place(), wait_place(&resident.task));
        // First both places, then whoever must go: what stands in one of the windows stays in memory.
        let mut out = Vec::new();
        if queued {
            out.extend(self.classes.push(class, place).into_iter().map(|place| place.id));
        }
        if let Some(wait) = wait {
            out.extend(self.waits.push(wait, self.config.window).into_iter().map(|place| place.id));
            if self.waits.contains(wait) {
                self.arm(now, wait);
            }
        }
        self.release_all(out.into_iter());
        if queued {
            self.want_class(class);
        }
    }

    /// Sets the timer of a task that waits for time.
    pub(crate) fn arm(&mut self, now: Now, place: WaitPlace) {
        if let Some(due) = self.tasks.get(&place.id).and_then(|r| r.task.due()) {
            self.timers.set(now.mono + due.left(now.wall), Timer::Due(place));
        }
    }

    /// A task is given to a worker: its patience is no longer tried.
    pub(crate) fn leave_waits(&mut self, id: TaskId) {
        let Some(wait) = self.tasks.get(&id).and_then(|r| wait_place(&r.task)) else { return };
        self.waits.remove(wait);
        self.want_waits();
    }

    /// Takes a task from wherever it waits.
    pub(crate) fn leave_line(&mut self, id: TaskId) {
        let Some(resident) = self.tasks.get(&id) else { return };
        let (class, place, wait) = (resident.class, resident.task.place(), wait_place(&resident.task));
        let array = resident.task.array.is_some();
        self.classes.remove(class, place);
        if array {
            // Its class may have waited for what was being read about it.
            self.classes.stall(class, false);
        }
        if let Some(wait) = wait {
            self.waits.remove(wait);
            self.want_waits();
        }
        self.want_class(class);
    }

    /// Whether a task that waits must be in memory, by where it stands: nothing may fall behind a cursor (PROTOCOL P4.3).
    pub fn covers(&self, task: &Task) -> bool {
        if wait_place(task).is_some_and(|place| self.waits.reaches(place)) {
            return true;
        }
        if !is_queued(task) {
            return false;
        }
        match self.classes.look_up(&task.spec) {
            Ok(class) => self.classes.get(class).is_some_and(|class| class.window.reaches(task.place())),
            // All classes that somebody can run are in memory, unless they are just being looked for.
            Err(key) => self.scan == crate::ahead::Scan::Done && self.can_run(&key),
        }
    }

    /// Tasks that stand in a window and aren't in memory. There must be none: they would be waited for, and what comes behind
    /// them would never be read.
    pub fn strays(&self) -> Vec<TaskId> {
        let places = self.classes.places().map(|place| place.id).chain(self.waits.places().map(|place| place.id));
        places.filter(|id| !self.tasks.contains_key(id)).collect()
    }

    /// Whether a task must stay in memory.
    fn is_needed(&self, resident: &Resident) -> bool {
        if resident.unsaved > 0 || resident.members > 0 {
            return true;
        }
        let next = |place: Place| self.classes.get(resident.class).is_some_and(|class| class.window.contains(place));
        let due = || wait_place(&resident.task).is_some_and(|place| self.waits.contains(place));
        match &resident.task.state {
            State::Dispatched(_) | State::Running(_) | State::Cancelling(_) => true,
            State::Pending(Wait::Queued) | State::Begun { .. } => next(resident.task.place()) || due(),
            State::Pending(Wait::BackingOff(_) | Wait::Delayed(_)) => due(),
            State::Final(_) => false,
        }
    }

    /// Lets a task leave memory if nothing needs it there.
    pub(crate) fn release(&mut self, id: TaskId) {
        if self.tasks.get(&id).is_none_or(|resident| self.is_needed(resident)) {
            return;
        }
        self.leave_line(id);
        let Some(resident) = self.tasks.remove(&id) else { return };
        if let Some(key) = resident.task.spec.key.as_ref().filter(|_| id.index().is_none()) {
            self.keys.remove(&key.key);
        }
        self.classes.leave(resident.class);
        if let Some(array) = id.array() {
            self.members.remove(&id);
            if let Some(resident) = self.tasks.get_mut(&array) {
                resident.members = resident.members.saturating_sub(1);
            }
            self.release(array);
        }
    }

    pub(crate) fn release_all(&mut self, ids: impl Iterator<Item = TaskId>) {
        for id in ids {
            self.stats.trimmed += 1;
            self.release(id);
        }
    }

    /// Moves a task along the table, and the numbers of tasks with it.
    pub(crate) fn shift(&mut self, id: TaskId, trigger: Trigger, state: State) {
        let Some(resident) = self.tasks.get_mut(&id) else { return };
        let class = resident.class;
        let from = resident.task.state.word();
        let to = state.word();
        move_to(resident.edit(), trigger, state);
        self.touch(id);
        if from == to {
            return;
        }
        self.tally(class, from, -1);
        self.tally(class, to, 1);
        if let Some(array) = id.array() {
            self.recount(array, from, to);
        }
    }

    pub(crate) fn tally(&mut self, class: ClassId, word: domain::StateWord, by: i64) {
        if let Some(found) = self.classes.get(class) {
            self.tallies.add(class, &found.key, word, by);
        }
    }
}
