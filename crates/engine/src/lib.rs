//! The engine: every scheduling decision of Baton, as one deterministic state machine.
//!
//! The contract: [`Engine::handle`] is given the time and an input, changes the engine's memory, and leaves behind
//! *effects* (what may happen once the decision is durable) and, at [`Engine::seal`], *writes* (what must become durable
//! first). The driver commits the writes of many inputs at once and releases their effects after it, in order.
//!
//! The engine must never read a clock, do I/O, draw a random number, or depend on a hash map's order: the same inputs
//! give the same outputs, which is what lets the simulator prove it. It must never learn of sockets, SQL or threads.

mod assign;
mod cancel;
mod classes;
mod contact;
mod effect;
mod end;
mod hello;
mod input;
mod legacy;
mod load;
mod placement;
mod progress;
mod recall;
mod report;
mod snapshot;
mod stored;
mod submit;
pub mod task_machine;
mod tick;
mod timers;
mod workers;

pub use effect::{Accepted, Effect, Reply};
pub use input::{Caller, Input, LegacyMessage, NewTask, SessionId};
pub use placement::{Requirement, explain};
pub use snapshot::Snapshot;

use classes::{ClassId, Classes};
use domain::{
    AttemptId, Epoch, Event, EventKind, Exit, Fact, FrameNo, Monotonic, Need, Now, Progress, Stamp, Tail, Task, TaskId,
    Totals, Write,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use timers::Timers;
use workers::Workers;

/// What a scheduler may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// After so long without contact an attempt is given up (default 60 s).
    pub lost_after: Duration,
    /// Silence on a session after which contact counts as ended (15 s).
    pub silence: Duration,
    /// Names the store, for welcomes.
    pub store_id: Arc<str>,
    /// The reign of this engine.
    pub epoch: Epoch,
}

/// Counters for metrics; they decide nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Tasks accepted.
    pub submitted: u64,
    /// Attempts given to workers.
    pub dispatched: u64,
    /// Attempts that workers reported as started.
    pub started: u64,
    /// Tasks that ended well.
    pub completed: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that ran out of time.
    pub timed_out: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Attempts given up because their worker was away or came back without them.
    pub lost: u64,
    /// Reports that came from somebody who doesn't hold the attempt (any more).
    pub refused_reports: u64,
}

/// The state machine.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    tasks: BTreeMap<TaskId, Resident>,
    /// Idempotency keys of resident tasks.
    keys: BTreeMap<[u8; 16], TaskId>,
    classes: Classes,
    workers: Workers,
    timers: Timers,
    /// The last place given; places are never given twice.
    ready_seq: u64,
    /// Handler names that any worker of this store has ever offered.
    offered: BTreeSet<String>,
    /// What changed since the last seal: true for a task that is new.
    dirty: BTreeMap<TaskId, bool>,
    /// Writes other than of task records since the last seal, in order.
    extra: Vec<Write>,
    effects: Vec<Effect>,
    stats: Stats,
}

/// A task in memory: everything that isn't final and committed.
#[derive(Debug)]
struct Resident {
    task: Arc<Task>,
    class: ClassId,
    /// How far the output of the live attempt is stored.
    stored: FrameNo,
    /// Its live attempt has exited, but not all of its output is stored.
    finishing: Option<Box<Finishing>>,
    /// When progress last became an event, and what came since.
    progress: Thinned,
}

#[derive(Debug, Default)]
struct Thinned {
    last: Option<Monotonic>,
    held: Option<Progress>,
}

/// An exit report that waits for the attempt's output. It isn't acknowledged yet, so a crash here loses nothing.
#[derive(Debug)]
struct Finishing {
    exit: Exit,
    totals: Totals,
    tail: Tail,
    result: Vec<u8>,
    tree_gone: bool,
    /// To acknowledge when done: session and report number.
    report: Option<(SessionId, u64)>,
}

impl Engine {
    /// Handles one input. Its effects and writes stay inside until [`Engine::effects`] and [`Engine::seal`] take them.
    /// `facts` must answer what [`Engine::needs`] asked for this input.
    pub fn handle(&mut self, now: Now, input: Input, facts: &[Fact]) {
        match input {
            Input::Submit { caller, tasks, brief, repeated: _ } => self.submit(now, caller, tasks, brief, facts),
            Input::Cancel { caller, task } => self.cancel(now, caller, task, facts),
            Input::Hello { session, hello } => self.hello(now, session, *hello),
            Input::Update { session, reports, offer } => self.update(now, session, reports, offer),
            Input::Legacy { session, message } => self.legacy(now, session, message),
            Input::Closed { session } => self.closed(now, session),
            Input::OutputStored { attempt, frames } => self.stored(now, attempt, frames),
            Input::Tick => self.tick(now),
        }
    }

    /// What must be looked up before this input can be handled. Cheap: nothing for most inputs.
    pub fn needs(&self, input: &Input) -> Vec<Need> {
        match input {
            Input::Submit { tasks, repeated, .. } => self.submit_needs(tasks, *repeated),
            Input::Cancel { task, .. } if !self.tasks.contains_key(task) => vec![Need::Task(*task)],
            Input::Cancel { .. }
            | Input::Hello { .. }
            | Input::Update { .. }
            | Input::Legacy { .. }
            | Input::Closed { .. }
            | Input::OutputStored { .. }
            | Input::Tick => Vec::new(),
        }
    }

    /// The effects since the last call, in order. They may be released only after the writes sealed with them are durable.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Ends a batch: the writes since the last seal, one record a task however often it changed.
    pub fn seal(&mut self) -> Vec<Write> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut writes = Vec::with_capacity(dirty.len() + self.extra.len());
        for (id, new) in dirty {
            if let Some(resident) = self.tasks.get(&id) {
                let task = Arc::clone(&resident.task);
                writes.push(if new { Write::Insert(task) } else { Write::Update(task) });
            }
        }
        writes.append(&mut self.extra);
        writes
    }

    /// After a commit: final tasks leave memory. `writes` are those that became durable.
    pub fn committed(&mut self, writes: &[Write]) {
        for write in writes {
            let (Write::Insert(task) | Write::Update(task)) = write else { continue };
            if !task.state.is_final() {
                continue;
            }
            if let Some(resident) = self.tasks.remove(&task.id)
                && let Some(key) = &resident.task.spec.key
            {
                self.keys.remove(&key.key);
            }
        }
    }

    /// When [`Input::Tick`] is due, if anything waits for time.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// Counters for metrics.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How many tasks are in memory: those that aren't final, and those whose end isn't committed.
    pub fn open_tasks(&self) -> usize {
        self.tasks.len()
    }

    /// A resident task.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id).map(|r| &*r.task)
    }

    /// The resident task whose live attempt this is.
    fn holder(&mut self, attempt: AttemptId) -> Option<&mut Resident> {
        self.tasks.get_mut(&attempt.task).filter(|r| r.task.live_id() == Some(attempt))
    }

    /// Publishes an event of a task, with the frames that come before it.
    fn publish(&mut self, task: TaskId, stamp: Stamp, attempt: u32, kind: EventKind, tail: Tail) {
        self.effects.push(Effect::Publish { event: Event { task, stamp, attempt, kind }, tail });
    }

    /// Marks a record as changed.
    fn touch(&mut self, task: TaskId) {
        self.dirty.entry(task).or_insert(false);
    }
}

impl Resident {
    fn new(task: Arc<Task>, class: ClassId) -> Self {
        Self { task, class, stored: 0, finishing: None, progress: Thinned::default() }
    }

    /// The record, to change it: copies it if a sealed batch still holds it.
    fn edit(&mut self) -> &mut Task {
        Arc::make_mut(&mut self.task)
    }
}
