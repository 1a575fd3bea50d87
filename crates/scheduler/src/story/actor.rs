//! The actor: owns every line and the order in which events and frames are told. It never waits for anybody but its
//! inputs, so neither the loop nor the output thread can be held up by a reader.

use super::feed::{Feed, Follower, feed};
use super::line::{Line, Seed};
use super::pen::{Pen, Written};
use domain::{AttemptId, Error, Event, EventKind, Frame, Result, StoryId, Tail, Task, TaskId, limits};
use output::{OutputReader, Placed};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// So many readers may attach before those that are gone are looked for: a walk over all lines takes milliseconds.
const SWEEP_EVERY: usize = 1_024;

/// What the actor is told, in order.
pub(super) enum Command {
    /// Committed events, each with the frames committed before it.
    Publish(Vec<(Event, Tail)>),
    /// A new reign, with all tasks that run.
    Reset(Vec<Task>),
    /// Output arrived.
    Arrived(Arrived),
    /// A reader attaches.
    Attach(TaskId, oneshot::Sender<Attached>),
    /// Somebody wants to know when everything before this is done.
    Sync(oneshot::Sender<()>),
    /// Segments of output whose tasks are all deleted.
    Expire(Vec<u64>),
}

/// The answer to a reader.
pub(super) struct Attached {
    /// See [`Line::attach`].
    pub bound: Option<StoryId>,
    pub follower: Follower,
}

/// Frames of one worker.
pub(super) struct Arrived {
    pub frames: Vec<Frame>,
    /// Room that they take until they are stored.
    pub room: OwnedSemaphorePermit,
    pub done: oneshot::Sender<Result<()>>,
}

/// Frames that wait to be stored, to be answered together.
struct Waiting {
    /// When so many frames have been stored.
    until: u64,
    _room: OwnedSemaphorePermit,
    done: oneshot::Sender<Result<()>>,
}

/// All that the actor owns.
pub(super) struct Actor {
    lines: BTreeMap<TaskId, Line>,
    /// The last frame that arrived of attempts with frames under way.
    arrived: BTreeMap<AttemptId, u64>,
    output: Arc<dyn OutputReader>,
    pen: Pen,
    /// Arrived while a batch is being written: the next batch. Bounded by the room of [`Arrived`].
    next: Vec<Placed>,
    /// Segments to delete. Bounded by how many there are.
    expired: Vec<u64>,
    waiting: VecDeque<Waiting>,
    /// Frames taken, and frames written or refused, since the beginning.
    taken: u64,
    settled: u64,
    /// Readers that attached since those that are gone were looked for.
    attached: usize,
}

impl Actor {
    pub fn new(output: Arc<dyn OutputReader>, pen: Pen) -> Self {
        Self {
            lines: BTreeMap::new(),
            arrived: BTreeMap::new(),
            output,
            pen,
            next: Vec::new(),
            expired: Vec::new(),
            waiting: VecDeque::new(),
            taken: 0,
            settled: 0,
            attached: 0,
        }
    }

    /// How many tasks are in memory.
    #[cfg(test)]
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    /// Runs until all handles are dropped, or the output thread is gone.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            // What is stored first: it was stored before whatever was published on its account.
            tokio::select! {
                biased;
                written = self.pen.written.recv() => match written {
                    Some(written) => self.written(written),
                    None => return tracing::error!("The output thread is gone"),
                },
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
            }
            // A free pen takes what has come by now as one batch.
            for _ in 0..commands.len() {
                let more = self.pen.is_free() && !self.next.is_empty();
                let Some(command) = more.then(|| commands.try_recv().ok()).flatten() else { break };
                self.command(command);
            }
            if !self.pen.hand_over(&mut self.next, &mut self.expired) {
                return tracing::error!("The output thread is gone");
            }
        }
    }

    /// Does what it is told. What it hands to the thread follows.
    pub fn command(&mut self, command: Command) {
        match command {
            Command::Publish(events) => {
                for (event, tail) in events {
                    self.publish(event, tail);
                }
            }
            Command::Reset(tasks) => self.reset(&tasks),
            Command::Arrived(arrived) => self.arrive(arrived),
            Command::Attach(task, reply) => self.attach(task, reply),
            // Whoever asked may be gone.
            Command::Sync(reply) => drop(reply.send(())),
            Command::Expire(mut segments) => self.expired.append(&mut segments),
        }
    }

    fn publish(&mut self, event: Event, tail: Tail) {
        let task = event.task;
        match &event.kind {
            EventKind::CancelRequested | EventKind::Finished(..) if task.index().is_none() => self.desert_members(task),
            EventKind::CancelRequested | EventKind::Finished(..) | EventKind::AttemptEnded(..) => {}
            EventKind::Accepted | EventKind::Begun | EventKind::Dispatched(_) => {}
            EventKind::Started(_) | EventKind::Progressed(_) => {}
        }
        let line = match event.kind {
            EventKind::Dispatched(_) => Some(self.lines.entry(task).or_default()),
            EventKind::Accepted
            | EventKind::Begun
            | EventKind::Started(_)
            | EventKind::Progressed(_)
            | EventKind::CancelRequested
            | EventKind::AttemptEnded(..)
            | EventKind::Finished(..) => self.lines.get_mut(&task),
        };
        if let Some(line) = line {
            line.event_arrived(event, tail);
            self.drop_if_idle(task);
        }
    }

    /// The end of an array is that of its members that don't run: nobody tells their readers.
    fn desert_members(&mut self, array: TaskId) {
        let members = self.lines.range_mut(array.member(0)..=array.member(limits::ARRAY_INDEX));
        let mut deserted = Vec::new();
        for (member, line) in members.filter(|(_, line)| !line.is_live()) {
            line.reset(None);
            deserted.push(*member);
        }
        for member in deserted {
            self.drop_if_idle(member);
        }
    }

    fn reset(&mut self, tasks: &[Task]) {
        let mut seeds: BTreeMap<TaskId, Seed> = tasks.iter().map(|task| (task.id, self.seed(task))).collect();
        for (task, line) in &mut self.lines {
            line.reset(seeds.remove(task));
        }
        self.lines.retain(|_, line| !line.is_idle());
        for (task, seed) in seeds {
            self.lines.entry(task).or_default().reset(Some(seed));
        }
    }

    fn seed(&self, task: &Task) -> Seed {
        let current = task.live_id();
        let stored = |attempt| self.output.count(attempt, u64::MAX);
        // Frames under way were stamped as what they were when they arrived: they are behind the line's end already.
        let frames = current.map_or(0, |attempt| self.arrived.get(&attempt).copied().unwrap_or(0).max(stored(attempt)));
        Seed { last: task.events, current: current.map(|attempt| attempt.no), frames }
    }

    fn attach(&mut self, task: TaskId, reply: oneshot::Sender<Attached>) {
        self.sweep();
        let (feed, follower): (Feed, Follower) = feed();
        let bound = self.lines.entry(task).or_default().attach(feed);
        // A reader that is gone again is swept later.
        let _ = reply.send(Attached { bound, follower });
    }

    /// Forgets readers that are gone: those of tasks that don't run hold a line each.
    fn sweep(&mut self) {
        self.attached += 1;
        if self.attached >= SWEEP_EVERY {
            self.attached = 0;
            self.lines.retain(|_, line| !line.is_idle());
        }
    }

    /// Takes frames: each is placed behind the last event of its task, once.
    fn arrive(&mut self, arrived: Arrived) {
        let Arrived { frames, room, done } = arrived;
        for frame in frames {
            let (attempt, number) = (frame.attempt, frame.number);
            let reached = self.arrived.get(&attempt).copied().unwrap_or_else(|| self.output.totals(attempt).frames);
            if number <= reached {
                continue;
            }
            if number > reached + 1 {
                let text = format!("frame {number} of task {} where {} should follow", attempt.task, reached + 1);
                let _ = done.send(Err(Error::new(domain::Kind::Invalid, text)));
                return;
            }
            self.arrived.insert(attempt, number);
            self.place(frame);
        }
        // Frames that are here already may still be under way: they count as stored when all that is under way is.
        self.waiting.push_back(Waiting { until: self.taken, _room: room, done });
        self.answer(true);
    }

    fn place(&mut self, frame: Frame) {
        let AttemptId { task, no } = frame.attempt;
        let line = self.lines.get_mut(&task);
        let (after, in_story) = line.as_ref().map_or((0, false), |line| line.place(no));
        if let Some(line) = line.filter(|_| in_story) {
            line.frame_arrived(frame.number);
        }
        self.next.push(Placed { after, in_story, frame });
        self.taken += 1;
    }

    /// A batch is done. Frames that came together are never in two batches.
    fn written(&mut self, written: Written) {
        self.pen.answered();
        let Written { frames, stored } = written;
        self.settled += frames.len() as u64;
        for Placed { after, in_story, frame } in frames {
            let attempt = frame.attempt;
            if self.arrived.get(&attempt).is_some_and(|last| *last == frame.number || !stored) {
                self.arrived.remove(&attempt);
            }
            let Some(line) = self.lines.get_mut(&attempt.task).filter(|_| in_story) else { continue };
            if stored {
                line.frame_stored(after, frame);
            } else {
                line.frame_lost(self.output.count(attempt, u64::MAX));
            }
            self.drop_if_idle(attempt.task);
        }
        self.answer(stored);
    }

    fn answer(&mut self, stored: bool) {
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.until <= self.settled) {
            let answer = if stored { Ok(()) } else { Err(Error::internal("output could not be stored")) };
            // Its stream may be gone; the worker sends again what isn't acknowledged.
            let _ = waiting.done.send(answer);
        }
    }

    fn drop_if_idle(&mut self, task: TaskId) {
        if self.lines.get_mut(&task).is_some_and(Line::is_idle) {
            self.lines.remove(&task);
        }
    }
}
