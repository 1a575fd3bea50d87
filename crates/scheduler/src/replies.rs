//! Replies: who waits for an answer of the engine.

use domain::{Result, StateWord};
use engine::{Accepted, Caller, Reply};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Callers that wait. As many as there are calls under way; the mailbox and the server's limits bound them.
#[derive(Default)]
pub(crate) struct Replies {
    last: u64,
    waiting: BTreeMap<Caller, Waiting>,
}

pub(crate) enum Waiting {
    Submit(oneshot::Sender<Result<Vec<Accepted>>>),
    Cancel(oneshot::Sender<Vec<Result<StateWord>>>),
    Drain(oneshot::Sender<Result<u32>>),
    Forget(oneshot::Sender<Result<u32>>),
    Pause(oneshot::Sender<Result<()>>),
}

impl Replies {
    /// Somebody waits for an answer.
    pub fn add(&mut self, waiting: Waiting) -> Caller {
        self.last += 1;
        self.waiting.insert(Caller(self.last), waiting);
        Caller(self.last)
    }

    /// Answers a caller. One that has gone away doesn't hear it; what was decided stands.
    pub fn answer(&mut self, caller: Caller, reply: Reply) {
        match (reply, self.waiting.remove(&caller)) {
            (Reply::Submitted(result), Some(Waiting::Submit(to))) => drop(to.send(result)),
            (Reply::Cancelled(result), Some(Waiting::Cancel(to))) => drop(to.send(result)),
            (Reply::Drained(result), Some(Waiting::Drain(to))) => drop(to.send(result)),
            (Reply::Forgotten(result), Some(Waiting::Forget(to))) => drop(to.send(result)),
            (Reply::Paused(result), Some(Waiting::Pause(to))) => drop(to.send(result)),
            // The engine answers what was asked.
            (
                Reply::Submitted(_) | Reply::Cancelled(_) | Reply::Drained(_) | Reply::Forgotten(_) | Reply::Paused(_),
                Some(_) | None,
            ) => {}
        }
    }
}
