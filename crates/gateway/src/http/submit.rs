//! Tasks are accepted: a shell line, anything, or many at once.

use super::{
    Shared,
    extract::{Body, Segment},
    refusal::Refusal,
    spec::{Spec, name_of},
    task::Waiting,
    words::time,
};
use crate::call;
use axum::{
    Json,
    extract::State,
    http::HeaderValue,
    response::{IntoResponseParts, ResponseParts},
};
use domain::limits;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use utoipa::ToSchema;
use wire::v1;

/// A line for a shell.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShellTask {
    /// The worker that is to run it; without it any that fits does.
    agent_id: Option<String>,
    /// A line for `/bin/sh -c`.
    #[schema(min_length = 1)]
    cmd: String,
    /// Seconds that it may run and, with an `agent_id`, wait for that worker; 300 if nothing is said.
    timeout: Option<i32>,
}

/// A line for the shell of the agent in the path.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentShell {
    /// A line for `/bin/sh -c`.
    #[schema(min_length = 1)]
    cmd: String,
}

/// Many tasks: all of them are accepted or none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// 1 to 10,000, at most 4 MiB.
    #[schema(min_items = 1, max_items = 10_000)]
    tasks: Vec<Spec>,
}

/// An accepted task: it is on disk.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    task_id: String,
    /// The worker that was asked for, or empty.
    agent_id: String,
    /// Always `pending`.
    status: &'static str,
    created_at: String,
    /// Why it would wait right now; empty if it would not.
    waiting_for: Vec<Waiting>,
}

/// All accepted tasks, in the order of the specs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AcceptedTasks {
    tasks: Vec<Accepted>,
}

/// Where the events of a task are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reference {
    /// The task's id, for `/stream?ref=`.
    #[serde(rename = "ref")]
    task_id: String,
}

/// What a client may show with later calls, as `baton-receipt`: a store that has lost what it was told says so then.
pub(super) struct Receipt(String);

impl Receipt {
    pub(super) fn of(accepted: &v1::TaskAccepted) -> Self {
        Self(accepted.receipt.clone())
    }
}

impl IntoResponseParts for Receipt {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        // An older scheduler gives none.
        if let Ok(receipt) = HeaderValue::try_from(self.0)
            && !receipt.is_empty()
        {
            parts.headers_mut().insert(call::RECEIPT, receipt);
        }
        Ok(parts)
    }
}

impl Accepted {
    pub(super) fn new(accepted: v1::TaskAccepted, agent_id: String) -> Self {
        let v1::TaskAccepted { task_id, timestamp: _, state_reason, receipt: _, timestamp_ms } = accepted;
        let reason = |(code, text): (&str, &str)| Waiting { code: code.into(), text: text.into() };
        let waiting_for = state_reason.split_once(": ").map(reason).into_iter().collect();
        Self { task_id, agent_id, status: "pending", created_at: time(timestamp_ms), waiting_for }
    }
}

impl ShellTask {
    fn spec(self) -> Result<v1::TaskSpec, Refusal> {
        let Self { agent_id, cmd, timeout } = self;
        let shell = v1::ShellRun { command: cmd, ..Default::default() };
        let spec = patience(agent_id, timeout)?;
        Ok(v1::TaskSpec { name: name_of(&shell.command), run: Some(v1::task_spec::Run::Shell(shell)), ..spec })
    }
}

/// A spec that says who runs the task, for how long and, if it is somebody, within what time.
pub(super) fn patience(agent_id: Option<String>, timeout: Option<i32>) -> Result<v1::TaskSpec, Refusal> {
    let default = i32::try_from(limits::TIMEOUT_DEFAULT.as_secs()).unwrap_or(i32::MAX);
    let timeout_secs = match timeout {
        None | Some(0) => default,
        Some(secs) if secs > 0 => secs,
        Some(_) => return Err(Refusal::wrong("timeout: must not be negative")),
    };
    let worker = agent_id.unwrap_or_default();
    let start_within_ms = if worker.is_empty() { 0 } else { i64::from(timeout_secs) * 1_000 };
    Ok(v1::TaskSpec { timeout_secs, worker, start_within_ms, ..Default::default() })
}

/// Runs a shell line.
#[utoipa::path(post, path = "/tasks/shell", operation_id = "submit_shell", tag = "tasks", request_body = ShellTask,
    responses((status = 200, description = "It is on disk", body = Accepted, headers(("baton-receipt" = String, description = "For later calls")))))]
pub(super) async fn shell(
    State(app): State<Shared>,
    Body(task): Body<ShellTask>,
) -> Result<(Receipt, Json<Accepted>), Refusal> {
    let spec = task.spec()?;
    let agent_id = spec.worker.clone();
    let accepted = app.submit(spec).await.map_err(seed_names)?;
    Ok((Receipt::of(&accepted), Json(Accepted::new(accepted, agent_id))))
}

/// Runs a shell line on an agent: the older form of `/tasks/shell`.
#[utoipa::path(post, path = "/agents/{id}/shell", operation_id = "submit_agent_shell", tag = "agents", request_body = AgentShell,
    params(("id" = String, Path, description = "The worker's id")),
    responses((status = 200, description = "It is on disk", body = Reference, headers(("baton-receipt" = String, description = "For later calls")))))]
pub(super) async fn agent_shell(
    State(app): State<Shared>,
    Segment(id): Segment,
    Body(AgentShell { cmd }): Body<AgentShell>,
) -> Result<(Receipt, Json<Reference>), Refusal> {
    let spec = ShellTask { agent_id: Some(id), cmd, timeout: None }.spec()?;
    let accepted = app.submit(spec).await.map_err(seed_names)?;
    Ok((Receipt::of(&accepted), Json(Reference { task_id: accepted.task_id })))
}

/// Runs anything.
#[utoipa::path(post, path = "/tasks", operation_id = "submit", tag = "tasks", request_body = Spec,
    responses((status = 200, description = "It is on disk", body = Accepted, headers(("baton-receipt" = String, description = "For later calls")))))]
pub(super) async fn submit(
    State(app): State<Shared>,
    Body(spec): Body<Spec>,
) -> Result<(Receipt, Json<Accepted>), Refusal> {
    let spec = spec.wire()?;
    let agent_id = spec.worker.clone();
    let accepted = app.submit(spec).await?;
    Ok((Receipt::of(&accepted), Json(Accepted::new(accepted, agent_id))))
}

/// Runs many at once: all of them or none, in one commit.
#[utoipa::path(post, path = "/tasks/batch", operation_id = "submit_batch", tag = "tasks", request_body = Batch,
    responses((status = 200, description = "All are on disk", body = AcceptedTasks, headers(("baton-receipt" = String, description = "For later calls")))))]
pub(super) async fn batch(
    State(app): State<Shared>,
    Body(Batch { tasks }): Body<Batch>,
) -> Result<(Receipt, Json<AcceptedTasks>), Refusal> {
    let specs: Vec<_> = tasks.into_iter().map(Spec::wire).collect::<Result<_, _>>()?;
    let agents: Vec<_> = specs.iter().map(|spec| spec.worker.clone()).collect();
    let accepted = app.submit_many(specs.into()).await?.accepted()?;
    // Of tasks accepted together the last has it.
    let receipt = accepted.last().map_or_else(|| Receipt(String::new()), Receipt::of);
    let tasks = accepted.into_iter().zip(agents).map(|(accepted, agent)| Accepted::new(accepted, agent)).collect();
    Ok((receipt, Json(AcceptedTasks { tasks })))
}

/// Errors name fields as the protocol calls them; here they are called otherwise.
pub(super) fn seed_names(error: domain::Error) -> domain::Error {
    let names = [
        ("shell.command: ", "cmd: "),
        ("docker.container_id: ", "id: "),
        ("docker.", ""),
        ("worker: ", "agent_id: "),
        ("timeout_secs: ", "timeout: "),
    ];
    let found = names.iter().find_map(|(ours, theirs)| Some((theirs, error.text().strip_prefix(ours)?)));
    match found {
        Some((field, text)) => domain::Error::new(error.kind(), format!("{field}{text}")),
        None => error,
    }
}
