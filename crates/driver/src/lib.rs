//! The driver: gathers inputs into batches, fetches the facts they need, hands their writes over as one transaction, and
//! releases their effects only after its commit, in order. Decide, commit, then act.
//!
//! One batch commits while the next is being handled, never more. **Any** failed commit ends this driver: its owner drops
//! it with its engine and starts again from the store under a new epoch (PROTOCOL P3): one recovery path.
//!
//! Pure like the engine: the scheduler's loop does the I/O for it, in the simulator the virtual world does. It must never
//! release an effect before its commit, and never guess what a failed commit did.

mod fail;

pub use fail::Outcome;

use domain::{Ahead, Batch, Counts, Epoch, Fact, Loaded, Monotonic, Need, Now, Tally, Want, Write};
use engine::{Config, Effect, Engine, Input, Sealed, Snapshot};
use std::collections::{BTreeSet, VecDeque};

/// Effects that a batch may gather before it is closed: bounds the size of one commit, the memory of one batch, and how long
/// somebody's single task waits behind another's million. Small enough, too, that short tasks in flight are several batches:
/// one that took all of them would leave workers nothing to do while it commits, and the store nothing while they run.
/// A submit of 10,000 tasks makes at most three effects a task.
const BATCH_EFFECTS: usize = 2_500;

/// What the driver wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Look these up, in the order of commits, then call [`Driver::facts`].
    Ask(Vec<Need>),
    /// Read this ahead, in the order of commits, then call [`Driver::ahead`]. Nothing waits for it.
    Ahead(Want),
    /// Make this durable, then call [`Driver::committed`] or [`Driver::fail`].
    Commit(Batch),
}

/// The driver of one reign.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    epoch: Epoch,
    /// Inputs not yet handled, in order. Bounded by whoever pushes: see [`Driver::backlog`].
    inbox: VecDeque<Input>,
    /// The input that waits for facts. Those behind it wait as well, so that order is kept.
    asking: Option<Input>,
    /// What the engine wants to be read.
    wants: VecDeque<Want>,
    /// Effects of the batch that is being gathered.
    open: Vec<Effect>,
    /// The batch that is being committed.
    flying: Option<Flying>,
    /// All tasks by state, as committed.
    counts: Counts,
}

#[derive(Debug)]
struct Flying {
    writes: Vec<Write>,
    tallies: Vec<Tally>,
    effects: Vec<Effect>,
}

impl Driver {
    /// Begins a reign with what the store holds.
    pub fn new(now: Now, config: Config, loaded: Loaded) -> Self {
        let (epoch, counts) = (config.epoch, loaded.counts);
        let engine = Engine::load(now, config, loaded);
        let (inbox, wants) = (VecDeque::new(), VecDeque::new());
        Self { engine, epoch, inbox, asking: None, wants, open: Vec::new(), flying: None, counts }
    }

    /// Takes an input. It is handled at the next [`Driver::poll`].
    pub fn push(&mut self, input: Input) {
        self.inbox.push_back(input);
    }

    /// Inputs that wait: whoever pushes stops above a bound of his own.
    pub fn backlog(&self) -> usize {
        self.inbox.len()
    }

    /// Handles what can be handled, and says what is wanted next; `None`: nothing until something comes.
    pub fn poll(&mut self, now: Now) -> Option<Step> {
        if self.asking.is_none()
            && let Some(needs) = self.handle_inbox(now)
        {
            return Some(Step::Ask(needs));
        }
        self.wants.extend(self.engine.wants());
        if let Some(want) = self.wants.pop_front() {
            return Some(Step::Ahead(want));
        }
        if self.flying.is_some() {
            return None;
        }
        let Sealed { writes, tallies, ready_seq } = self.engine.seal();
        if writes.is_empty() && self.open.is_empty() {
            return None;
        }
        // A batch without writes is committed as well: it proves that the epoch is current before a worker is told to
        // kill or forget anything, and keeps replies in order behind what they saw (GUARANTEES G5).
        let batch = Batch { epoch: self.epoch, writes: writes.clone(), tallies: tallies.clone(), ready_seq };
        self.flying = Some(Flying { writes, tallies, effects: std::mem::take(&mut self.open) });
        Some(Step::Commit(batch))
    }

    /// Handles what is due, then inputs until one needs facts or the batch is full.
    fn handle_inbox(&mut self, now: Now) -> Option<Vec<Need>> {
        if self.next_deadline().is_some_and(|due| due <= now.mono) {
            self.handle(now, Input::Tick, &[]);
        }
        while self.open.len() < BATCH_EFFECTS {
            let input = self.inbox.pop_front()?;
            let needs = self.engine.needs(&input);
            if !needs.is_empty() {
                self.asking = Some(input);
                return Some(needs);
            }
            self.handle(now, input, &[]);
        }
        None
    }

    fn handle(&mut self, now: Now, input: Input, facts: &[Fact]) {
        self.engine.handle(now, input, facts);
        self.open.append(&mut self.engine.effects());
    }

    /// The answer to [`Step::Ask`]. What was in memory then may have left it meanwhile: then all is asked for again. What was
    /// read is true only as long as every later commit of its task is in memory, so none of it may be kept over an answer.
    pub fn facts(&mut self, now: Now, facts: Vec<Fact>) -> Option<Step> {
        let input = self.asking.take()?;
        let needs = self.engine.needs(&input);
        let told: BTreeSet<&Need> = facts.iter().map(|fact| &fact.need).collect();
        if needs.iter().all(|need| told.contains(need)) {
            self.handle(now, input, &facts);
            return None;
        }
        self.asking = Some(input);
        Some(Step::Ask(needs))
    }

    /// The answer to [`Step::Ahead`]. Answers of all kinds must come in the order of the writer's work.
    pub fn ahead(&mut self, now: Now, ahead: Ahead) {
        self.engine.ahead(now, ahead);
        self.open.append(&mut self.engine.effects());
    }

    /// The batch is durable: its effects may happen now, in this order.
    pub fn committed(&mut self) -> Vec<Effect> {
        let Some(Flying { writes, tallies, effects }) = self.flying.take() else { return Vec::new() };
        engine::apply_tallies(&mut self.counts, &tallies);
        self.engine.committed(&writes);
        effects
    }

    /// All tasks by state, as committed: members count, arrays don't.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Tasks were deleted from the store; all of them were final.
    pub fn deleted(&mut self, deleted: &Counts) {
        for (word, n) in deleted.iter().filter(|(word, _)| word.is_final()) {
            self.counts.change(word, -i64::try_from(n).unwrap_or(i64::MAX));
        }
    }

    /// Whether a commit or a look-up is under way, or anything waits to be handled.
    pub fn is_busy(&self) -> bool {
        let waits = !self.inbox.is_empty() || !self.open.is_empty() || !self.wants.is_empty();
        self.flying.is_some() || self.asking.is_some() || waits
    }

    /// When [`Driver::poll`] has something to do though nothing comes; `None` as well while an answer has to come first:
    /// whoever slept until a deadline that can't be kept would never sleep.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let blocked = self.asking.is_some() || self.open.len() >= BATCH_EFFECTS;
        self.engine.next_deadline().filter(|_| !blocked)
    }

    /// What readers may see of workers and queues. Publish it after a commit, not before.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    /// The engine, to look at: for metrics and for the simulator's checks.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
