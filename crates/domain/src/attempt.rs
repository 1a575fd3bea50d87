//! One execution of a task, from dispatch to end.

use crate::{AttemptNo, Incarnation, Totals, UnixMillis, WorkerId};
use std::time::Duration;

/// When something happened in a task's life: the event's number in the task, from 1, and the wall time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// The event's number.
    pub event: u64,
    /// For display.
    pub at: UnixMillis,
}

/// One execution of a task. Its dispatch was durable before the worker saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Its number, from 1.
    pub no: AttemptNo,
    /// Who holds it.
    pub worker: WorkerId,
    /// Which life of that worker: reports of another one don't count (GUARANTEES G4).
    pub incarnation: Incarnation,
    /// When it was given to the worker.
    pub dispatched: Stamp,
    /// When it started there.
    pub started: Option<Stamp>,
    /// When and how it ended.
    pub ended: Option<(Stamp, Ending)>,
    /// Its output in all; complete once it has ended with an exit.
    pub totals: Totals,
}

/// How an attempt ended, as the scheduler sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Its worker said how.
    Exited(Exit),
    /// Its worker was out of contact for too long, came back without it, or lost its keeper.
    Lost,
    /// Its worker would not start it.
    Refused(String),
    /// It was taken back before it started.
    Recalled,
    /// The scheduler gave it up without its worker's word (a worker that cannot kill, or out of contact).
    Abandoned,
}

/// How an execution ended, as its worker saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal, not ours.
    Signal(i32),
    /// It ran longer than it may.
    TimedOut(Duration),
    /// It never started: why.
    NotStarted(String),
    /// By a kill order.
    Killed,
    /// A handler said that it failed: why.
    HandlerError(String),
}

impl Exit {
    /// Whether it counts as success.
    pub fn success(&self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// The number that surfaces show: the code, 128+n for signal n, 1 for a handler's error, −1 if it never started,
    /// timed out or was killed.
    pub fn code(&self) -> i32 {
        match self {
            Self::Code(code) => *code,
            Self::Signal(signal) => 128 + signal,
            Self::HandlerError(_) => 1,
            Self::TimedOut(_) | Self::NotStarted(_) | Self::Killed => -1,
        }
    }

    /// In words, as in final messages.
    pub fn text(&self) -> String {
        match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(signal) => format!("signal {signal} ({})", signal_name(*signal)),
            Self::TimedOut(limit) => format!("timed out after {}", seconds(*limit)),
            Self::NotStarted(why) => format!("not started: {why}"),
            Self::Killed => "killed".into(),
            Self::HandlerError(why) => why.clone(),
        }
    }
}

impl Ending {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::Exited(exit) => exit.text(),
            Self::Lost => "worker lost".into(),
            Self::Refused(why) => format!("refused by its worker: {why}"),
            Self::Recalled => "taken back before it started".into(),
            Self::Abandoned => "given up".into(),
        }
    }

    /// The exit, if there was one.
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Exited(exit) => Some(exit),
            Self::Lost | Self::Refused(_) | Self::Recalled | Self::Abandoned => None,
        }
    }
}

/// `1s`, `1.5s`, `300s`.
fn seconds(length: Duration) -> String {
    let text = format!("{:.3}", length.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn signal_name(signal: i32) -> &'static str {
    const NAMES: [&str; 32] = [
        "0",
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(signal).ok().and_then(|s| NAMES.get(s)).copied().unwrap_or("real-time signal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_a_code_and_words() {
        let table = [
            (Exit::Code(3), 3, "exit code 3"),
            (Exit::Signal(9), 137, "signal 9 (SIGKILL)"),
            (Exit::TimedOut(Duration::from_millis(1_500)), -1, "timed out after 1.5s"),
            (Exit::TimedOut(Duration::from_secs(300)), -1, "timed out after 300s"),
            (Exit::NotStarted("no such file".into()), -1, "not started: no such file"),
            (Exit::Killed, -1, "killed"),
            (Exit::HandlerError("bad input".into()), 1, "bad input"),
        ];
        for (exit, code, text) in table {
            assert_eq!((exit.code(), exit.text().as_str()), (code, text));
        }
    }
}
