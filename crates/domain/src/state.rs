//! The states of a task. Each variant carries what is known only in it; no state is a string outside this file.

use crate::{Attempt, Due, WorkerId};

/// Where a task stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Accepted; no attempt is under way.
    Pending(Wait),
    /// Given to a worker, not yet started there.
    Dispatched(Attempt),
    /// Started.
    Running(Attempt),
    /// Cancel was accepted; the attempt's process tree is not yet proved gone.
    Cancelling(Attempt),
    /// An array that has begun: its members say more (PROTOCOL P5). It has no attempts of its own.
    Begun {
        /// Cancel was accepted; some members' process trees are not yet proved gone.
        cancelling: bool,
    },
    /// The end; it never changes (GUARANTEES G3).
    Final(Final),
}

/// Why a pending task isn't offered to workers, or that it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// In its class's queue.
    Queued,
    /// After a failed attempt.
    BackingOff(Due),
    /// Not before a time that the submitter chose.
    Delayed(Due),
}

/// How a task ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Final {
    /// Exit code 0, or a handler's success.
    Completed,
    /// Exit code, signal, handler error, lost too often: in words.
    Failed(String),
    /// The last allowed attempt ran longer than it may: in words.
    TimedOut(String),
    /// By a caller. `unconfirmed` names the worker that could not say that the processes are gone.
    Cancelled {
        /// See above.
        unconfirmed: Option<WorkerId>,
    },
}

/// The state's word alone: what is indexed, listed and shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StateWord {
    /// In its class's queue.
    Queued,
    /// Not before a time.
    Delayed,
    /// Waiting after a failed attempt.
    BackingOff,
    /// Given to a worker.
    Dispatched,
    /// Started.
    Running,
    /// Cancel accepted.
    Cancelling,
    /// Success.
    Completed,
    /// Failure.
    Failed,
    /// Out of time.
    TimedOut,
    /// Cancelled.
    Cancelled,
}

impl State {
    /// Its word.
    pub fn word(&self) -> StateWord {
        match self {
            Self::Pending(Wait::Queued) => StateWord::Queued,
            Self::Pending(Wait::BackingOff(_)) => StateWord::BackingOff,
            Self::Pending(Wait::Delayed(_)) => StateWord::Delayed,
            Self::Dispatched(_) => StateWord::Dispatched,
            Self::Running(_) | Self::Begun { cancelling: false } => StateWord::Running,
            Self::Cancelling(_) | Self::Begun { cancelling: true } => StateWord::Cancelling,
            Self::Final(Final::Completed) => StateWord::Completed,
            Self::Final(Final::Failed(_)) => StateWord::Failed,
            Self::Final(Final::TimedOut(_)) => StateWord::TimedOut,
            Self::Final(Final::Cancelled { .. }) => StateWord::Cancelled,
        }
    }

    /// The attempt under way.
    pub fn live(&self) -> Option<&Attempt> {
        match self {
            Self::Dispatched(attempt) | Self::Running(attempt) | Self::Cancelling(attempt) => Some(attempt),
            Self::Pending(_) | Self::Begun { .. } | Self::Final(_) => None,
        }
    }

    /// The attempt under way, to change it.
    pub fn live_mut(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::Dispatched(attempt) | Self::Running(attempt) | Self::Cancelling(attempt) => Some(attempt),
            Self::Pending(_) | Self::Begun { .. } | Self::Final(_) => None,
        }
    }

    /// Whether it is the end.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Final(_))
    }

    /// What a pending task waits for, if that is time.
    pub fn due(&self) -> Option<Due> {
        match self {
            Self::Pending(Wait::BackingOff(due) | Wait::Delayed(due)) => Some(*due),
            Self::Pending(Wait::Queued)
            | Self::Dispatched(_)
            | Self::Running(_)
            | Self::Cancelling(_)
            | Self::Begun { .. }
            | Self::Final(_) => None,
        }
    }
}

impl StateWord {
    /// How many words there are; codes are below it.
    pub const COUNT: usize = 10;
    /// All words, in the order of a task's life.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Delayed,
        Self::Queued,
        Self::BackingOff,
        Self::Dispatched,
        Self::Running,
        Self::Cancelling,
        Self::Completed,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
    ];

    /// As shown on all surfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delayed => "delayed",
            Self::BackingOff => "backing_off",
            Self::Dispatched => "dispatched",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }

    /// The number that the store keeps. Never changes: 0 queued, 1–3 in flight, 4 completed, 5–7 the bad ends, 8 backing
    /// off, 9 delayed, so that "queued", "in flight" and "ended badly" are ranges for partial indexes (MEASURED).
    pub fn code(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Dispatched => 1,
            Self::Running => 2,
            Self::Cancelling => 3,
            Self::Completed => 4,
            Self::Failed => 5,
            Self::TimedOut => 6,
            Self::Cancelled => 7,
            Self::BackingOff => 8,
            Self::Delayed => 9,
        }
    }

    /// From the store's number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.code() == code)
    }

    /// Whether it is an end.
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled => true,
            Self::Queued | Self::BackingOff | Self::Delayed => false,
            Self::Dispatched | Self::Running | Self::Cancelling => false,
        }
    }

    /// Whether nothing of it is under way and it isn't the end.
    pub fn is_pending(self) -> bool {
        match self {
            Self::Queued | Self::BackingOff | Self::Delayed => true,
            Self::Dispatched | Self::Running | Self::Cancelling => false,
            Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled => false,
        }
    }
}

impl Final {
    /// The final message: why it ended so.
    pub fn text(&self) -> String {
        match self {
            Self::Completed => "completed".into(),
            Self::Failed(why) | Self::TimedOut(why) => why.clone(),
            Self::Cancelled { unconfirmed: None } => "cancelled".into(),
            Self::Cancelled { unconfirmed: Some(worker) } => {
                format!("cancelled (unconfirmed: worker {worker} could not prove its processes gone)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_distinct_codes_that_lead_back() {
        for word in StateWord::ALL {
            assert_eq!(StateWord::from_code(word.code()), Some(word));
            assert!(usize::from(word.code()) < StateWord::COUNT);
        }
        assert_eq!(StateWord::from_code(10), None);
    }
}
