//! What a client asks for.

use crate::{ArraySpec, DockerRun, Error, OnLost, Result, RetryPolicy, TraceContext, UnixMillis, WorkerId, limits};
use std::{collections::BTreeMap, time::Duration};

/// A task as it was asked for. It never changes after the submit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// What people call it; for a handler task the handler's name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What to run.
    pub run: Run,
    /// How long one attempt may run; `None`: without limit.
    pub timeout: Option<Duration>,
    /// What follows a failed attempt.
    pub retry: RetryPolicy,
    /// What follows a lost attempt.
    pub on_lost: OnLost,
    /// Repeated submits with the same key are one task.
    pub key: Option<IdempotencyKey>,
    /// Only this worker may run it.
    pub worker: Option<WorkerId>,
    /// Labels a worker must carry.
    pub labels: BTreeMap<String, String>,
    /// Higher runs first.
    pub priority: i32,
    /// The queue's name, never empty.
    pub queue: String,
    /// Not before this moment, by the scheduler's wall clock.
    pub run_at: Option<UnixMillis>,
    /// It is an array: each member runs this spec.
    pub array: Option<ArraySpec>,
    /// How long it may wait for its first start; `None`: as long as need be.
    pub start_within: Option<Duration>,
    /// The span of whoever asked for it. Of no meaning to the task: the same wish from elsewhere is the same wish.
    pub trace: Option<TraceContext>,
    /// What goes with `trace`, as `tracestate` says it; else empty.
    pub trace_state: String,
}

/// The key under which repeated submits are one task, and a hash of what was submitted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdempotencyKey {
    /// Hash of queue and key: what must be unique.
    pub key: [u8; 16],
    /// Hash of the submitted spec: another body under the same key is a conflict.
    pub body: [u8; 16],
}

/// What to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Run {
    /// A command.
    Shell(ShellRun),
    /// A container, or a verb on one.
    Docker(DockerRun),
    /// A handler of the worker, found by the task's name.
    Handler(HandlerRun),
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShellRun {
    /// A line for `/bin/sh -c` or, with `args`, the program.
    pub command: String,
    /// Arguments; if there are any, no shell is started.
    pub args: Vec<String>,
    /// Must exist on the worker; `None`: a fresh directory.
    pub working_dir: Option<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// What it reads; empty: /dev/null.
    pub stdin: Vec<u8>,
}

/// A handler's input.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HandlerRun {
    /// Opaque bytes.
    pub payload: Vec<u8>,
}

impl Spec {
    /// Checks every limit that doesn't depend on the wire's form.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`], naming the field as it is called on the wire.
    pub fn check(&self) -> Result<()> {
        check_word("name", &self.name, limits::NAME_CHARS, true)?;
        if self.description.len() > limits::DESCRIPTION_BYTES {
            return Err(Error::field("description", format!("is over {} bytes", limits::DESCRIPTION_BYTES)));
        }
        if self.timeout.is_some_and(|t| t > limits::TIMEOUT) {
            return Err(Error::field("timeout_secs", "is over 30 days"));
        }
        if self.retry.max_retries > limits::RETRIES {
            return Err(Error::field("max_retries", format!("must be 0 to {}", limits::RETRIES)));
        }
        if let Some(worker) = &self.worker {
            check_id("worker", worker.as_str())?;
        }
        if self.run_at.is_some_and(|at| at.0 < 0 || at.0 > limits::RUN_AT_MS) {
            return Err(Error::field("run_at_ms", "must be a time between 1970 and the year 2200, in milliseconds"));
        }
        if self.start_within.is_some_and(|t| t > limits::TIMEOUT) {
            return Err(Error::field("start_within_ms", "is over 30 days"));
        }
        if self.start_within.is_some() && self.array.is_some() {
            return Err(Error::field("start_within_ms", "must be 0 for an array"));
        }
        check_word("queue", &self.queue, limits::QUEUE_CHARS, true)?;
        check_labels("labels", &self.labels)?;
        match &self.run {
            Run::Shell(shell) => shell.check(),
            Run::Docker(docker) => docker.check(),
            Run::Handler(handler) if handler.payload.len() > limits::PAYLOAD_BYTES => {
                Err(Error::field("payload", format!("is over {} bytes", limits::PAYLOAD_BYTES)))
            }
            Run::Handler(_) => Ok(()),
        }
    }
}

impl ShellRun {
    fn check(&self) -> Result<()> {
        if self.command.trim().is_empty() {
            return Err(Error::field("shell.command", "must not be empty"));
        }
        if self.command.len() + self.args.iter().map(|a| a.len() + 1).sum::<usize>() > limits::COMMAND_BYTES {
            return Err(Error::field("shell.command", format!("is over {} bytes", limits::COMMAND_BYTES)));
        }
        for (field, text) in std::iter::once(("shell.command", &self.command))
            .chain(self.args.iter().map(|a| ("shell.args", a)))
            .chain(self.working_dir.iter().map(|d| ("shell.working_dir", d)))
        {
            if text.contains('\0') {
                return Err(Error::field(field, "must not contain a NUL byte"));
            }
        }
        if self.working_dir.as_ref().is_some_and(|d| !d.starts_with('/')) {
            return Err(Error::field("shell.working_dir", "must be an absolute path"));
        }
        if self.stdin.len() > limits::PAYLOAD_BYTES {
            return Err(Error::field("shell.stdin", format!("is over {} bytes", limits::PAYLOAD_BYTES)));
        }
        check_env("shell.env", &self.env)
    }
}

pub(crate) fn check_env(field: &str, env: &BTreeMap<String, String>) -> Result<()> {
    if env.len() > limits::ENV_ENTRIES {
        return Err(Error::field(field, format!("has over {} entries", limits::ENV_ENTRIES)));
    }
    for (key, value) in env {
        if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::field(field, "names must not be empty or contain `=`, and nothing a NUL byte"));
        }
    }
    if env.iter().map(|(k, v)| k.len() + v.len() + 2).sum::<usize>() > limits::ENV_BYTES {
        return Err(Error::field(field, format!("is over {} bytes", limits::ENV_BYTES)));
    }
    Ok(())
}

/// Checks labels: at most 16, keys and values of at most 200 characters, no control characters.
pub(crate) fn check_labels(field: &str, labels: &BTreeMap<String, String>) -> Result<()> {
    if labels.len() > limits::LABELS {
        return Err(Error::field(field, format!("has over {} entries", limits::LABELS)));
    }
    for (key, value) in labels {
        check_word(field, key, limits::WORD_CHARS, true)?;
        check_word(field, value, limits::WORD_CHARS, false)?;
    }
    Ok(())
}

/// Checks a worker's id: 1 to 200 characters, neither blanks nor control characters nor slashes (it names a directory).
pub(crate) fn check_id(field: &str, text: &str) -> Result<()> {
    check_word(field, text, limits::WORD_CHARS, true)?;
    if text.contains(|c: char| c.is_whitespace() || c == '/') || text.starts_with('.') {
        return Err(Error::field(field, "must not contain blanks or `/`, nor start with a dot"));
    }
    Ok(())
}

/// Checks a text that is shown in one line: of so many characters at most, none of them a control character.
pub(crate) fn check_word(field: &str, text: &str, chars: usize, required: bool) -> Result<()> {
    // Nearly all of them; and there are many.
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if plain && text.len() <= chars && (!required || text.bytes().any(|byte| byte != b' ')) {
        return Ok(());
    }
    if required && text.trim().is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    if text.chars().count() > chars {
        return Err(Error::field(field, format!("is over {chars} characters")));
    }
    if text.contains(char::is_control) {
        return Err(Error::field(field, "must not contain control characters"));
    }
    Ok(())
}
