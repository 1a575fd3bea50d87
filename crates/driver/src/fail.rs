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
        let Self { engine: _, epoch: _, inbox, asking, open, flying } = self;
        let mut answers = Vec::new();
        for effect in flying.into_iter().flat_map(|f| f.effects) {
            answers.extend(answer(&effect, outcome));
        }
        for effect in open {
            answers.extend(answer(&effect, Outcome::Refused));
        }
        for input in asking.into_iter().chain(inbox) {
            match input {
                Input::Submit { caller, .. } => {
                    answers.push((caller, Reply::Submitted(Err(error(Outcome::Refused)))));
                }
                Input::Cancel { caller, .. } => {
                    answers.push((caller, Reply::Cancelled(Err(error(Outcome::Refused)))));
                }
                Input::Hello { .. }
                | Input::Update { .. }
                | Input::Legacy { .. }
                | Input::Closed { .. }
                | Input::OutputStored { .. }
                | Input::Tick => {}
            }
        }
        answers
    }
}

fn answer(effect: &Effect, outcome: Outcome) -> Option<(Caller, Reply)> {
    match effect {
        Effect::Reply(caller, Reply::Submitted(_)) => Some((*caller, Reply::Submitted(Err(error(outcome))))),
        Effect::Reply(caller, Reply::Cancelled(_)) => Some((*caller, Reply::Cancelled(Err(error(outcome))))),
        Effect::Order(..) | Effect::Publish { .. } | Effect::Close(..) => None,
    }
}

fn error(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Refused => Error::unavailable("the scheduler could not store this and starts again; repeat the call"),
        Outcome::Full => Error::new(Kind::Exhausted, "the scheduler's disk is full; nothing was changed"),
        Outcome::Unknown => Error::new(Kind::Unknown, "outcome unknown: repeat with the same id or key"),
    }
}
