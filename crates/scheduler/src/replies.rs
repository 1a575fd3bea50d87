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

enum Waiting {
    Submit(oneshot::Sender<Result<Vec<Accepted>>>),
    Cancel(oneshot::Sender<Result<StateWord>>),
}

impl Replies {
    pub fn submit(&mut self, reply: oneshot::Sender<Result<Vec<Accepted>>>) -> Caller {
        self.add(Waiting::Submit(reply))
    }

    pub fn cancel(&mut self, reply: oneshot::Sender<Result<StateWord>>) -> Caller {
        self.add(Waiting::Cancel(reply))
    }

    fn add(&mut self, waiting: Waiting) -> Caller {
        self.last += 1;
        self.waiting.insert(Caller(self.last), waiting);
        Caller(self.last)
    }

    /// Answers a caller. One that has gone away doesn't hear it; what was decided stands.
    pub fn answer(&mut self, caller: Caller, reply: Reply) {
        match (self.waiting.remove(&caller), reply) {
            (Some(Waiting::Submit(to)), Reply::Submitted(result)) => drop(to.send(result)),
            (Some(Waiting::Cancel(to)), Reply::Cancelled(result)) => drop(to.send(result)),
            (None, _)
            | (Some(Waiting::Submit(_)), Reply::Cancelled(_))
            | (Some(Waiting::Cancel(_)), Reply::Submitted(_)) => {}
        }
    }
}
