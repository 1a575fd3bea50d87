//! What a task is asked for with: the fields of the protocol's `TaskSpec`, and bytes as text or as base64.

use super::{docker::Docker, refusal::Refusal};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use wire::v1;

/// Characters of a name that is taken from a command.
const NAME_CHARS: usize = 60;

/// A task to run: a command with `shell`, a container with `docker`, else one for the handler called `name`. What isn't given has its default.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spec {
    /// 1 to 200 characters. For a handler's task the handler's name; a command is called by its beginning.
    name: Option<String>,
    /// At most 4 KiB.
    description: String,
    shell: Option<Shell>,
    docker: Option<Docker>,
    /// The input of a handler, at most 1 MiB.
    payload: Option<String>,
    /// The same, for bytes that are no text.
    payload_base64: Option<String>,
    /// Seconds that an attempt may run, at most 30 days; 0 means 300.
    timeout_secs: i32,
    /// Milliseconds instead; 0 means without limit.
    timeout_ms: Option<i64>,
    /// How often a failed attempt is tried again, 0 to 100.
    max_retries: i32,
    /// Repeating a submit with the same key and body in the same queue gives the same task.
    idempotency_key: String,
    /// Only this worker may run it.
    worker: String,
    /// Its worker must carry these labels.
    labels: BTreeMap<String, String>,
    /// Higher runs first.
    priority: i32,
    /// Empty means `default`.
    queue: String,
    /// Makes it an array: many tasks with this spec in one.
    array: Option<Array>,
    /// Not before this moment, in Unix milliseconds.
    run_at_ms: i64,
    /// What follows an attempt that was lost.
    on_lost: OnLost,
    /// Milliseconds that it may wait for its first start, then it ends as timed out; 0 means as long as need be.
    start_within_ms: i64,
}

/// A command.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shell {
    /// A line for `/bin/sh -c`; with `args` the program, started without a shell.
    command: String,
    args: Vec<String>,
    /// Must exist on the worker; empty means a fresh directory.
    working_dir: String,
    /// Added to its environment.
    env: BTreeMap<String, String>,
    /// What it reads, at most 1 MiB.
    stdin: Option<String>,
    /// The same, for bytes that are no text.
    stdin_base64: Option<String>,
}

/// The members of an array.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Array {
    /// Disjoint ranges of indexes, up to 999,999,999.
    ranges: Vec<Range>,
    /// None, or one for each member: what it finds in BATON_ENTRY.
    #[serde(default)]
    entries: Vec<String>,
}

/// Indexes from the first to the last, both included.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IndexRange)]
pub(super) struct Range {
    first: u32,
    last: u32,
}

/// What follows an attempt whose worker is lost.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnLost {
    /// Another attempt; it may overlap with the lost one.
    #[default]
    Retry,
    /// The task fails.
    Fail,
    /// The task waits until its worker is back.
    Wait,
}

impl Spec {
    /// The spec as the protocol has it. Its limits are for others to check.
    pub fn wire(self) -> Result<v1::TaskSpec, Refusal> {
        let Self {
            name,
            description,
            shell,
            docker,
            payload,
            payload_base64,
            timeout_secs,
            timeout_ms,
            max_retries,
            idempotency_key,
            worker,
            labels,
            priority,
            queue,
            array,
            run_at_ms,
            on_lost,
            start_within_ms,
        } = self;
        let called = shell.as_ref().map(|shell| name_of(&shell.command)).or(docker.as_ref().map(Docker::name));
        let run = match (shell, docker) {
            (Some(_), Some(_)) => return Err(Refusal::wrong("docker: stands beside shell")),
            (Some(shell), None) => Some(v1::task_spec::Run::Shell(shell.wire()?)),
            (None, Some(docker)) => Some(v1::task_spec::Run::Docker(docker.wire())),
            (None, None) => None,
        };
        Ok(v1::TaskSpec {
            name: name.or(called).unwrap_or_default(),
            description,
            payload: bytes("payload", payload, payload_base64)?,
            timeout_secs,
            max_retries,
            idempotency_key,
            worker,
            labels: labels.into_iter().collect(),
            priority,
            queue,
            timeout_ms,
            array: array.map(Array::wire),
            run_at_ms,
            on_lost: on_lost.wire().into(),
            start_within_ms,
            // They come as headers.
            traceparent: String::new(),
            tracestate: String::new(),
            run,
        })
    }
}

impl Shell {
    fn wire(self) -> Result<v1::ShellRun, Refusal> {
        let Self { command, args, working_dir, env, stdin, stdin_base64 } = self;
        let stdin = bytes("shell.stdin", stdin, stdin_base64)?;
        Ok(v1::ShellRun { command, working_dir, env: env.into_iter().collect(), stdin, args })
    }
}

impl Array {
    fn wire(self) -> v1::TaskArray {
        let Self { ranges, entries } = self;
        let range = |Range { first, last }| v1::Range { first, last };
        v1::TaskArray { ranges: ranges.into_iter().map(range).collect(), entries }
    }
}

impl OnLost {
    fn wire(self) -> v1::OnLost {
        match self {
            Self::Retry => v1::OnLost::Retry,
            Self::Fail => v1::OnLost::Fail,
            Self::Wait => v1::OnLost::Wait,
        }
    }
}

/// A command's beginning, as far as it may stand in a name.
pub(super) fn name_of(command: &str) -> String {
    let line: String = command.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let name: String = line.trim().chars().take(NAME_CHARS).collect();
    // An empty command is refused by its own name, not by its task's.
    if name.trim().is_empty() { "shell".into() } else { name }
}

fn bytes(field: &str, text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, Refusal> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(Refusal::wrong(format!("{field}: stands beside {field}_base64"))),
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(digits)) => {
            BASE64_STANDARD.decode(&digits).map_err(|_| Refusal::wrong(format!("{field}_base64: is not base64")))
        }
        (None, None) => Ok(Vec::new()),
    }
}
