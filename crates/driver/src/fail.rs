//! Fail: what callers are told when a commit fails and the reign ends.

use crate::Driver;
use domain::{Error, Kind};
use engine::{Caller, Effect, Input, Reply};

/// What is known about the batch that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It changed nothing.
    Refused,
    /// It changed nothing, because the disk is full.
    Full,
    /// It may be durable or not (GUARANTEES G6).
    Unknown,
}

impl Driver {
    /// Ends the reign: every caller that waits, with what to tell him. Nothing that was decided is released.
    pub fn fail(self, outcome: Outcome) -> Vec<(Caller, Reply)> {
        let Self { engine: _, epoch: _, inbox, asking, wants: _, open, flying, counts: _ } = self;
        let mut answers = Vec::new();
        for effect in flying.into_iter().flat_map(|f| f.effects) {
            answers.extend(answer(&effect, outcome));
        }
        for effect in open {
            answers.extend(answer(&effect, Outcome::Refused));
        }
        for input in asking.into_iter().chain(inbox) {
            answers.extend(refuse(&input));
        }
        answers
    }
}

/// What the caller of an input that was not handled is told.
fn refuse(input: &Input) -> Option<(Caller, Reply)> {
    let why = error(Outcome::Refused);
    Some(match input {
        Input::Submit { caller, .. } => (*caller, Reply::Submitted(Err(why))),
        Input::Cancel { caller, tasks } => {
            (*caller, Reply::Cancelled(tasks.iter().map(|_| Err(why.clone())).collect()))
        }
        Input::Drain { caller, .. } => (*caller, Reply::Drained(Err(why))),
        Input::Forget { caller, .. } => (*caller, Reply::Forgotten(Err(why))),
        Input::Pause { caller, .. } => (*caller, Reply::Paused(Err(why))),
        Input::Hello { .. }
        | Input::Update { .. }
        | Input::Legacy { .. }
        | Input::Closed { .. }
        | Input::OutputStored { .. }
        | Input::Tick => return None,
    })
}

fn answer(effect: &Effect, outcome: Outcome) -> Option<(Caller, Reply)> {
    let why = error(outcome);
    match effect {
        Effect::Reply(caller, reply) => {
            let reply = match reply {
                Reply::Submitted(_) => Reply::Submitted(Err(why)),
                Reply::Cancelled(all) => Reply::Cancelled(all.iter().map(|_| Err(why.clone())).collect()),
                Reply::Drained(_) => Reply::Drained(Err(why)),
                Reply::Forgotten(_) => Reply::Forgotten(Err(why)),
                Reply::Paused(_) => Reply::Paused(Err(why)),
            };
            Some((*caller, reply))
        }
        Effect::Order(..) | Effect::Publish { .. } | Effect::Close(..) | Effect::Waited(_) => None,
    }
}

fn error(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Refused => Error::unavailable("the scheduler could not store this and starts again; repeat the call"),
        Outcome::Full => Error::new(Kind::Exhausted, "the scheduler's disk is full; nothing was changed"),
        Outcome::Unknown => Error::new(Kind::Unknown, "outcome unknown: repeat with the same id or key"),
    }
}
