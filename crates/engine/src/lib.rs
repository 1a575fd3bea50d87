//! The engine: every scheduling decision of Baton, as one deterministic state machine.
//!
//! The contract: [`Engine::handle`] is given the time and an input, changes the engine's memory, and leaves behind
//! *effects* (what may happen once the decision is durable) and, at [`Engine::seal`], *writes* (what must become durable
//! first). The driver commits the writes of many inputs at once and releases their effects after it, in order.
//!
//! The engine must never read a clock, do I/O, draw a random number, or depend on a hash map's order: the same inputs
//! give the same outputs, which is what lets the simulator prove it. It must never learn of sockets, SQL or threads.

mod ahead;
pub mod array_machine;
mod arrays;
mod assign;
mod by_id;
mod cancel;
mod classes;
mod contact;
mod drain;
mod effect;
mod end;
mod forget;
mod hello;
mod input;
mod legacy;
mod load;
mod members;
mod overdue;
mod pause;
mod placement;
mod progress;
mod recall;
mod refusal;
mod report;
mod residents;
mod snapshot;
mod stored;
mod submit;
mod tally;
pub mod task_machine;
mod tick;
mod timers;
mod window;
mod workers;

pub use effect::{Accepted, Effect, Reply, Waited};
pub use input::{Caller, Input, LegacyMessage, NewTask, RetryOf, SessionId};
pub use placement::{fits, waiting};
pub use refusal::{Refusal, Refusals};
pub use snapshot::Snapshot;
pub use tally::apply as apply_tallies;

use by_id::ById;
use classes::{ClassId, Classes};
use domain::{
    AttemptId, Epoch, Event, EventKind, Fact, Monotonic, Need, Now, Stamp, Tail, Tally, Task, TaskId, WaitPlace, Want,
    Write,
};
use residents::{Change, Finishing, Resident, Thinned};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tally::Tallies;
use timers::Timers;
use window::Window;
use workers::Workers;

/// Tasks of a class that are kept ready in memory, and tasks that wait for time: some thousands, so that a refill (2.6 ms,
/// MEASURED) is needed seldom.
pub const WINDOW: usize = 4_096;

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
    /// How many waiting tasks a window holds, roughly: [`WINDOW`], or fewer to try what happens beyond it.
    pub window: usize,
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
    pub refused: Refusals,
    /// Tasks that left a window, because it had grown too long or nobody wants its class any more.
    pub trimmed: u64,
}

/// The state machine.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    tasks: ById<Resident>,
    /// Those of them that are members of arrays, to walk.
    members: BTreeSet<TaskId>,
    /// Idempotency keys of resident tasks.
    keys: BTreeMap<[u8; 16], TaskId>,
    classes: Classes,
    /// Tasks that wait for time.
    waits: Window<WaitPlace>,
    workers: Workers,
    timers: Timers,
    /// The last place given; places are never given twice, but to a task and its retries.
    ready_seq: u64,
    /// Handler names that any worker of this store has ever offered.
    offered: BTreeSet<String>,
    /// Workers that shall take nothing new.
    draining: BTreeSet<domain::WorkerId>,
    /// What changed since the last seal, each once.
    dirty: Vec<TaskId>,
    /// Writes other than of task records since the last seal, in order.
    extra: Vec<Write>,
    tallies: Tallies,
    effects: Vec<Effect>,
    /// What shall be read while we go on.
    wants: Vec<Want>,
    /// Whether all classes of the store that a connected worker can run are in memory.
    scan: ahead::Scan,
    stats: Stats,
}

/// What a batch makes durable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sealed {
    /// One record a task, however often it changed.
    pub writes: Vec<Write>,
    /// What they do to the numbers of tasks.
    pub tallies: Vec<Tally>,
    /// The last place given.
    pub ready_seq: u64,
}

impl Engine {
    /// Handles one input. Its effects and writes stay inside until [`Engine::effects`] and [`Engine::seal`] take them.
    /// `facts` must answer what [`Engine::needs`] asked for this input.
    pub fn handle(&mut self, now: Now, input: Input, facts: &[Fact]) {
        match input {
            Input::Submit { caller, tasks, brief, repeated: _ } => self.submit(now, caller, tasks, brief, facts),
            Input::Cancel { caller, tasks } => self.cancel(now, caller, tasks, facts),
            Input::Drain { caller, worker, on } => self.drain(now, caller, &worker, on),
            Input::Forget { caller, worker } => self.forget(now, caller, &worker),
            Input::Pause { caller, queue, on } => self.pause(now, caller, &queue, on),
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
            Input::Cancel { tasks, .. } => {
                tasks.iter().filter(|task| !self.tasks.contains_key(task)).map(|task| Need::Task(*task)).collect()
            }
            Input::Drain { .. }
            | Input::Forget { .. }
            | Input::Pause { .. }
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

    /// What shall be read while the engine goes on; the answers go to [`Engine::ahead`].
    pub fn wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    /// Ends a batch: what changed since the last seal.
    pub fn seal(&mut self) -> Sealed {
        let mut dirty = std::mem::take(&mut self.dirty);
        // In the order of their rows.
        dirty.sort_unstable();
        let mut writes = Vec::with_capacity(dirty.len() + self.extra.len());
        for id in dirty {
            let Some(resident) = self.tasks.get_mut(&id) else { continue };
            let new = std::mem::take(&mut resident.change) == Change::New;
            let task = Arc::clone(&resident.task);
            writes.push(match self.classes.get(resident.class).filter(|_| new) {
                Some(class) => Write::Insert { task, class: Arc::clone(&class.key) },
                None => Write::Update(task),
            });
        }
        writes.append(&mut self.extra);
        Sealed { writes, tallies: self.tallies.take(), ready_seq: self.ready_seq }
    }

    /// After a commit: what neither runs nor is next leaves memory. `writes` are those that became durable.
    pub fn committed(&mut self, writes: &[Write]) {
        let mut saved = Vec::with_capacity(writes.len());
        for write in writes {
            let (Write::Insert { task, .. } | Write::Update(task)) = write else { continue };
            if let Some(resident) = self.tasks.get_mut(&task.id) {
                resident.unsaved = resident.unsaved.saturating_sub(1);
                saved.push(task.place());
            }
        }
        // In the order in which they stand: each is at the front of its line then. They come in the order of their ids, which
        // is another one where several gateways, or calls, met.
        saved.sort();
        for place in saved {
            self.release(place.id);
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

    /// How many tasks are in memory: what runs, what is next, and what isn't committed.
    pub fn residents(&self) -> usize {
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
        let Some(resident) = self.tasks.get_mut(&task) else { return };
        let new = !std::mem::replace(&mut resident.row, true);
        if resident.change == Change::None {
            resident.change = if new { Change::New } else { Change::Known };
            resident.unsaved += 1;
            self.dirty.push(task);
        }
    }
}
