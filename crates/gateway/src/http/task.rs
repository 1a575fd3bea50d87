//! A task as it is shown: seed fields first, ours beside them.

use super::docker::Docker;
use super::words::{some_time, status, time, timeout};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::Counts;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use wire::v1;

/// A task as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Task {
    task_id: String,
    /// The worker of the latest attempt; before the first the one that was asked for, or empty.
    agent_id: String,
    /// pending, sent, in_progress, completed, failed, timeout or cancelled.
    status: &'static str,
    /// The finer word: delayed, queued, backing_off, dispatched, running, cancelling, completed, failed, timed_out, cancelled.
    state: String,
    /// RFC 3339, UTC; so are all times.
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// How long an attempt may run, as Go's Duration: `5m0s`; `0s` is no limit.
    timeout: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    queue: String,
    priority: i32,
    /// Labels that its worker must carry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    max_retries: i32,
    /// Of a shell task: the line, or the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<String>,
    /// Of a program that is started without a shell: its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    /// Of a container's task.
    #[serde(skip_serializing_if = "Option::is_none")]
    docker: Option<Docker>,
    /// The number of the latest attempt; 0 before the first.
    attempt: u32,
    attempts: Vec<Attempt>,
    /// Percent.
    progress: i32,
    /// What it said last or, once it has ended, why it ended so.
    message: String,
    /// Why it waits; empty if it doesn't.
    waiting_for: Vec<Waiting>,
    /// Once it has ended: the code; 128+n for signal n; -1 if it never started or timed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// Final bytes of a handler, if they are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// Final bytes of a handler, if they aren't.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_base64: Option<String>,
    /// Not before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<String>,
    /// The task that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<String>,
    /// Of an array: its members by state.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<BTreeMap<&'static str, u64>>,
    /// Of an array's member: the array, its index, and its entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    array_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    array_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
}

/// One execution of a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attempt {
    /// From 1.
    number: u32,
    agent_id: String,
    dispatched_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// How it ended, in words.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    stdout_bytes: u64,
    stderr_bytes: u64,
}

/// One reason why a task waits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Waiting {
    /// For programs; docs/reasons.md has all of them.
    pub code: String,
    /// For people.
    pub text: String,
}

impl From<v1::Task> for Task {
    fn from(task: v1::Task) -> Self {
        let v1::Task {
            task_id,
            spec,
            status: number,
            state,
            waiting_for,
            attempts,
            progress_percent,
            message,
            result,
            created_at_ms,
            updated_at_ms,
            finished_at_ms,
            exit_code,
            worker_id,
            retry_of,
            members,
            array_id,
            array_index,
            entry,
        } = task;
        let spec = spec.unwrap_or_default();
        let (cmd, args, docker) = match spec.run {
            Some(v1::task_spec::Run::Shell(shell)) => (Some(shell.command), shell.args, None),
            Some(v1::task_spec::Run::Docker(docker)) => (None, Vec::new(), Some(Docker::from(docker))),
            None => (None, Vec::new(), None),
        };
        let (result, result_base64) = text_or_base64(result);
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            task_id,
            agent_id: if worker_id.is_empty() { spec.worker } else { worker_id },
            status: status(number),
            state,
            created_at: time(created_at_ms),
            updated_at: time(updated_at_ms),
            finished_at: some_time(finished_at_ms),
            timeout: timeout(spec.timeout_secs, spec.timeout_ms),
            name: spec.name,
            description: spec.description,
            queue: spec.queue,
            priority: spec.priority,
            labels: spec.labels.into_iter().collect(),
            max_retries: spec.max_retries,
            cmd,
            args,
            docker,
            attempt: attempts.last().map_or(0, |attempt| attempt.number),
            attempts: attempts.into_iter().map(Attempt::from).collect(),
            progress: progress_percent,
            message,
            waiting_for: waiting_for.into_iter().map(Waiting::from).collect(),
            exit_code,
            result,
            result_base64,
            run_at: some_time(spec.run_at_ms),
            retry_of: some(retry_of),
            members: members.as_ref().map(counts),
            array_id: some(array_id),
            array_index,
            entry,
        }
    }
}

impl From<v1::Attempt> for Attempt {
    fn from(attempt: v1::Attempt) -> Self {
        let v1::Attempt {
            number,
            worker_id,
            dispatched_at_ms,
            started_at_ms,
            ended_at_ms,
            outcome,
            exit_code,
            stdout_bytes,
            stderr_bytes,
        } = attempt;
        Self {
            number,
            agent_id: worker_id,
            dispatched_at: time(dispatched_at_ms),
            started_at: some_time(started_at_ms),
            ended_at: some_time(ended_at_ms),
            outcome,
            exit_code,
            stdout_bytes,
            stderr_bytes,
        }
    }
}

impl From<v1::Waiting> for Waiting {
    fn from(waiting: v1::Waiting) -> Self {
        let v1::Waiting { code, text } = waiting;
        Self { code, text }
    }
}

/// Tasks by the domain's word.
pub(super) fn counts(counts: &v1::TaskCounts) -> BTreeMap<&'static str, u64> {
    Counts::from(counts).iter().map(|(word, n)| (word.as_str(), n)).collect()
}

/// Bytes as text or, if they are none, as base64; neither if there are none.
fn text_or_base64(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    if bytes.is_empty() {
        return (None, None);
    }
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
    }
}
