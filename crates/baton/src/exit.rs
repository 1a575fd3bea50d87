//! Exit codes: documented in README.md, stable, and all in this file.

use domain::Kind;

/// How `baton` ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// 0: done.
    Success,
    /// 1: it went wrong; of what waits for tasks: not all of them completed.
    Error,
    /// 2: the command line is wrong.
    Usage,
    /// 3: no gateway answers.
    Unreachable,
    /// 4: no such task.
    NotFound,
    /// `run`: the task's own code, 128+n for signal n.
    Task(u8),
    /// 124: the task ran longer than it may.
    TimedOut,
    /// 130: the task was cancelled; or Ctrl-C ended the waiting for it.
    Cancelled,
    /// 141: whoever read the output of `run` has gone (128 + SIGPIPE).
    BrokenPipe,
}

impl ExitStatus {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotFound => 4,
            Self::Task(code) => code,
            Self::TimedOut => 124,
            Self::Cancelled => 130,
            Self::BrokenPipe => 141,
        }
    }

    /// Of a call that failed.
    pub fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::NotFound => Self::NotFound,
            Kind::Invalid
            | Kind::Conflict
            | Kind::Precondition
            | Kind::Exhausted
            | Kind::Unavailable
            | Kind::Unauthenticated
            | Kind::Denied
            | Kind::Unknown
            | Kind::DataLoss
            | Kind::Internal => Self::Error,
        }
    }
}
