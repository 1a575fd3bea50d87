//! What the engine is told.

use domain::{AttemptId, FrameNo, Hello, Offer, Progress, Report, Spec, TaskId, WorkerId};
use std::sync::Arc;

/// Names who waits for a reply; the engine only hands it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Caller(pub u64);

/// One worker stream. Numbers grow; a number is never used twice in a reign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// A task to accept: the gateway drew the id and checked the spec.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// What is asked.
    pub spec: Arc<Spec>,
    /// Of an array with entries: one a member, in the order of indexes.
    pub entries: Vec<Arc<str>>,
    /// The task that it repeats.
    pub retry: Option<RetryOf>,
}

/// A final task that is run again, in its place (PROTOCOL P4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryOf {
    /// Which.
    pub task: TaskId,
    /// Its place; of an array that of the first member that is run again.
    pub ready_seq: u64,
}

/// What the engine is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Accept these tasks: all or none.
    Submit {
        /// Who asks.
        caller: Caller,
        /// What.
        tasks: Vec<NewTask>,
        /// An earlier call with these ids may have been carried out.
        repeated: bool,
        /// The caller doesn't want to know why they wait.
        brief: bool,
    },
    /// Cancel tasks, each for itself.
    Cancel {
        /// Who asks.
        caller: Caller,
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// Give a worker nothing new and take back what it hasn't started, or let it take tasks again.
    Drain {
        /// Who asks.
        caller: Caller,
        /// Which.
        worker: WorkerId,
        /// Or let it take tasks again.
        on: bool,
    },
    /// Forget a worker that isn't connected.
    Forget {
        /// Who asks.
        caller: Caller,
        /// Which.
        worker: WorkerId,
    },
    /// Give nothing of a queue to workers, or go on.
    Pause {
        /// Who asks.
        caller: Caller,
        /// Which.
        queue: String,
        /// Or go on.
        on: bool,
    },
    /// A worker stream's first message.
    Hello {
        /// The stream.
        session: SessionId,
        /// Who it is.
        hello: Box<Hello>,
    },
    /// Any later message; an empty one says "I am here".
    Update {
        /// The stream.
        session: SessionId,
        /// What happened there.
        reports: Vec<Report>,
        /// What it can take.
        offer: Option<Offer>,
    },
    /// A message of a worker that speaks only the older dialect.
    Legacy {
        /// The stream.
        session: SessionId,
        /// What it said.
        message: LegacyMessage,
    },
    /// A stream ended.
    Closed {
        /// Which.
        session: SessionId,
    },
    /// Output of an attempt is durable up to this frame.
    OutputStored {
        /// Whose.
        attempt: AttemptId,
        /// The last durable frame.
        frames: FrameNo,
    },
    /// Time has passed.
    Tick,
}

/// What a worker of the older dialect says. It names tasks, not attempts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegacyMessage {
    /// It is there and has so many free slots.
    Heartbeat {
        /// Its name.
        worker: WorkerId,
        /// Where it listens.
        address: String,
        /// Free slots.
        slots: u32,
    },
    /// A task runs.
    Progress {
        /// Which.
        task: TaskId,
        /// How far.
        progress: Progress,
    },
    /// A task ended.
    Result {
        /// Which.
        task: TaskId,
        /// The result, or why it failed.
        result: Result<Vec<u8>, String>,
    },
}
