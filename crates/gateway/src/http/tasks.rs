//! Tasks are looked at, cancelled, repeated and explained.

use super::{
    Shared,
    extract::{Query, Segment},
    refusal::Refusal,
    submit::{Accepted, Receipt},
    task::{Task, Waiting},
    words::{status, statuses},
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use domain::Kind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wire::v1;

/// Which tasks, and where the page begins.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Statuses with commas between them: pending, sent, in_progress, completed, failed, timeout, cancelled.
    status: Option<String>,
    /// Tasks of this worker: the one of the latest attempt or, before the first, the one that was asked for.
    agent_id: Option<String>,
    /// Tasks with this name.
    name: Option<String>,
    /// Tasks of this queue.
    queue: Option<String>,
    /// Members of this array, highest index first, instead of tasks.
    array: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Where the page begins.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// Statuses with commas between them.
    status: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Tasks, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    /// More may follow: `?cursor=` leads there. A page can be short, even empty, though more follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Tasks of one agent, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentTasks {
    agent_id: String,
    tasks: Vec<Task>,
    /// As of `GET /tasks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What became of a cancel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message {
    /// `task cancelled`, or `cancelling` if its processes are not gone yet.
    message: &'static str,
}

/// Why a task isn't running.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explained {
    status: &'static str,
    state: String,
    waiting_for: Vec<Waiting>,
    /// Of a queued task: each connected worker.
    workers: Vec<Fit>,
}

/// How a worker fits a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fit {
    agent_id: String,
    /// What it lacks; empty: it may run the task.
    missing: String,
    /// Whether it would take a task now.
    free: bool,
}

impl Which {
    fn request(self) -> Result<v1::ListTasksRequest, Refusal> {
        let Self { status, agent_id, name, queue, array, limit, cursor } = self;
        if limit.is_some_and(|limit| !(1..=1_000).contains(&limit)) {
            return Err(Refusal::wrong("limit: must be 1 to 1000"));
        }
        Ok(v1::ListTasksRequest {
            statuses: statuses(&status.unwrap_or_default())?,
            worker_id: agent_id.unwrap_or_default(),
            name: name.unwrap_or_default(),
            page_size: limit.unwrap_or_default(),
            page_token: cursor.unwrap_or_default(),
            queue: queue.unwrap_or_default(),
            array_id: array.unwrap_or_default(),
            // As `agent_id` is shown.
            waiting: true,
        })
    }
}

/// Tasks, newest first, a page at a time.
#[utoipa::path(get, path = "/tasks", operation_id = "list_tasks", tag = "tasks", params(Which),
    responses((status = 200, description = "A page", body = Tasks)))]
pub(super) async fn list(State(app): State<Shared>, Query(which): Query<Which>) -> Result<Json<Tasks>, Refusal> {
    page(&app, which).await.map(Json)
}

/// Tasks of one agent, newest first. An agent that nobody has heard of has none.
#[utoipa::path(get, path = "/agents/{id}/tasks", operation_id = "list_agent_tasks", tag = "agents",
    params(("id" = String, Path, description = "The worker's id"), Place),
    responses((status = 200, description = "A page", body = AgentTasks)))]
pub(super) async fn of_agent(
    State(app): State<Shared>,
    Segment(agent_id): Segment,
    Query(Place { status, limit, cursor }): Query<Place>,
) -> Result<Json<AgentTasks>, Refusal> {
    let which = Which { status, limit, cursor, agent_id: Some(agent_id.clone()), ..Which::default() };
    let Tasks { tasks, next_cursor } = page(&app, which).await?;
    Ok(Json(AgentTasks { agent_id, tasks, next_cursor }))
}

async fn page(app: &Shared, which: Which) -> Result<Tasks, Refusal> {
    let v1::ListTasksResponse { tasks, next_page_token } = app.list(which.request()?).await.map_err(cursor_name)?;
    let next_cursor = Some(next_page_token).filter(|token| !token.is_empty());
    Ok(Tasks { tasks: tasks.into_iter().map(Task::from).collect(), next_cursor })
}

/// The cursor and the array are called otherwise in the protocol.
fn cursor_name(error: domain::Error) -> domain::Error {
    let text = error.text();
    let renamed = (text
        .strip_prefix("page_token: was not given out by ListTasks")
        .map(|rest| ("cursor: was not given out", rest)))
    .or_else(|| text.strip_prefix("array_id: ").map(|rest| ("array: ", rest)));
    match renamed {
        Some((head, rest)) => domain::Error::new(error.kind(), format!("{head}{rest}")),
        None => error,
    }
}

/// A task as it stands.
#[utoipa::path(get, path = "/tasks/{id}", operation_id = "get_task", tag = "tasks", params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "The task", body = Task)))]
pub(super) async fn get(State(app): State<Shared>, Segment(task_id): Segment) -> Result<Json<Task>, Refusal> {
    Ok(Json(app.get(v1::GetTaskRequest { task_id }).await?.into()))
}

/// Cancels a task and waits until its processes are gone, at most 10 s.
#[utoipa::path(delete, path = "/tasks/{id}", operation_id = "cancel_task", tag = "tasks", params(("id" = String, Path, description = "The task's id")),
    responses(
        (status = 200, description = "It is cancelled; its processes are gone", body = Message),
        (status = 202, description = "Its processes are not gone yet", body = Message)))]
pub(super) async fn cancel(State(app): State<Shared>, Segment(task_id): Segment) -> Result<Response, Refusal> {
    let asked = app.cancel(v1::CancelTaskRequest { task_id, wait: true }).await;
    let answer = asked.map_err(|error| {
        let ended = error.kind() == Kind::Precondition;
        let refusal = Refusal::from(error);
        // Older clients know 400 for this.
        if ended { refusal.with(StatusCode::BAD_REQUEST) } else { refusal }
    })?;
    let gone = status(answer.status) != "in_progress";
    let (code, message) = if gone { (StatusCode::OK, "task cancelled") } else { (StatusCode::ACCEPTED, "cancelling") };
    Ok((code, Json(Message { message })).into_response())
}

/// Runs a task that has ended again, as a new one; of an array, what failed or timed out.
#[utoipa::path(post, path = "/tasks/{id}/retry", operation_id = "retry_task", tag = "tasks", params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "The new task is on disk", body = Accepted, headers(("baton-receipt" = String, description = "For later calls")))))]
pub(super) async fn retry(
    State(app): State<Shared>,
    Segment(task_id): Segment,
) -> Result<(Receipt, Json<Accepted>), Refusal> {
    let accepted = app.retry(v1::RetryTaskRequest { task_id: task_id.clone() }).await?;
    let of = app.get(v1::GetTaskRequest { task_id }).await?;
    Ok((Receipt::of(&accepted), Json(Accepted::new(accepted, of.spec.unwrap_or_default().worker))))
}

/// Why a task isn't running.
#[utoipa::path(get, path = "/tasks/{id}/explain", operation_id = "explain_task", tag = "tasks", params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "Why", body = Explained)))]
pub(super) async fn explain(State(app): State<Shared>, Segment(task_id): Segment) -> Result<Json<Explained>, Refusal> {
    let v1::ExplainTaskResponse { status: number, state, waiting_for, workers } =
        app.explain(v1::ExplainTaskRequest { task_id }).await?;
    let fit = |v1::WorkerFit { worker_id, missing, free }| Fit { agent_id: worker_id, missing, free };
    Ok(Json(Explained {
        status: status(number),
        state,
        waiting_for: waiting_for.into_iter().map(Waiting::from).collect(),
        workers: workers.into_iter().map(fit).collect(),
    }))
}
