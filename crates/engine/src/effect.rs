//! What may happen once the decision behind it is durable.

use crate::{Caller, SessionId};
use domain::{AttemptId, Error, Event, Order, Spec, StateWord, Tail, TaskId, UnixMillis, WaitReason, WorkerId};
use std::sync::Arc;

/// What may happen after the commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Answer a caller.
    Reply(Caller, Reply),
    /// Give a worker an order. Orders of one session that follow one another travel together.
    Order(SessionId, Order),
    /// Tell readers, the frames first.
    Publish {
        /// The event.
        event: Event,
        /// Frames that were committed with it and come before it.
        tail: Tail,
    },
    /// End a worker's stream with this error.
    Close(SessionId, Error),
    /// Measure: nothing hangs on it.
    Waited(Waited),
}

/// How long a task waited until an attempt of it started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waited {
    /// The attempt that started.
    pub attempt: AttemptId,
    /// What was asked.
    pub spec: Arc<Spec>,
    /// Where it started.
    pub worker: WorkerId,
    /// Since when it could have started: accepted, due, or the attempt before it over and its back-off too.
    pub since: UnixMillis,
    /// When its worker said that it had.
    pub until: UnixMillis,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// To a submit: one a task, in order.
    Submitted(Result<Vec<Accepted>, Error>),
    /// To a cancel: where each task stands now, in order.
    Cancelled(Vec<Result<StateWord, Error>>),
    /// To a drain: how many attempts the worker holds.
    Drained(Result<u32, Error>),
    /// To a forget: how many attempts are lost thereby.
    Forgotten(Result<u32, Error>),
    /// To a pause.
    Paused(Result<(), Error>),
}

/// An accepted task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Its id; the earlier one's if the idempotency key was known.
    pub id: TaskId,
    /// When it was accepted.
    pub at: UnixMillis,
    /// Why it waits, if it does and the caller wanted to know.
    pub waiting: Option<WaitReason>,
}
