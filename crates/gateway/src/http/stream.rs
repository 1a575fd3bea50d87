//! `/stream`: a task's story in the form of older clients, `event: response`.

use super::{Shared, extract::Query, refusal::Refusal, story, words::event_status};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wire::v1::{OutputEvent, OutputStream, ProgressEvent, StateEvent, TaskEvent, task_event};

/// Which task. Anything else is passed over: pages add fields to get past caches.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Reference {
    /// The task's id.
    #[serde(rename = "ref")]
    task_id: Option<String>,
}

/// The data of `event: response`.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamEvent {
    event_response: EventResponse,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EventResponse {
    /// The task's id.
    event_ref: String,
    /// IN_PROGRESS; of the last event SUCCESS, FAILURE, TIMEOUT or CANCELLED.
    status: &'static str,
    result: EventResult,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EventResult {
    data: EventData,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EventData {
    /// What was written; of a status the state's word, of the last event nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// Instead of `output`, of bytes that are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_base64: Option<String>,
    /// stdout, stderr or status.
    r#type: &'static str,
    /// Unix milliseconds.
    timestamp: i64,
    /// Position in the story, from 1.
    sequence: u64,
    /// Nothing follows.
    is_final: bool,
    /// Of the last event: the code; 128+n for signal n; -1 if it never started or timed out. Else 0.
    exit_code: i32,
    /// From 1; 0 before the first.
    attempt: u32,
    /// Of a status: what happened, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Bytes that a limit cut here.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

/// The data of `event: progress`.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamProgress {
    event_ref: String,
    percent: i32,
    message: String,
    /// Unix milliseconds.
    timestamp: i64,
    /// Position in the story, from 1.
    sequence: u64,
    attempt: u32,
}

/// Follows a task: its states, progress and output from the beginning, or behind `Last-Event-ID`, until its end.
#[utoipa::path(get, path = "/stream", operation_id = "stream", tag = "streams",
    params(("ref" = String, Query, description = "The task's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen")),
    responses(
        (status = 200, description = "`event: response` with a StreamEvent, `event: progress` with a StreamProgress", body = StreamEvent, content_type = "text/event-stream"),
        (status = 204, description = "All of it was seen and nothing follows")))]
pub(super) async fn follow(
    State(app): State<Shared>,
    Query(Reference { task_id }): Query<Reference>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = || Refusal::wrong("ref: must name a task");
    let task_id = task_id.filter(|id| !id.is_empty()).ok_or_else(missing)?;
    story::tell(&app, task_id, &headers, event).await
}

fn event(told: TaskEvent) -> Result<Event, axum::Error> {
    let TaskEvent { task_id, id, sequence, at_ms: timestamp, attempt, event } = told;
    let data = EventData {
        output: Some(String::new()),
        output_base64: None,
        r#type: "status",
        timestamp,
        sequence,
        is_final: false,
        exit_code: 0,
        attempt,
        message: None,
        dropped: None,
    };
    let (status, data) = match event {
        Some(task_event::Event::Progress(ProgressEvent { percent, message })) => {
            let progress = StreamProgress { event_ref: task_id, percent, message, timestamp, sequence, attempt };
            return Event::default().id(id).event("progress").json_data(progress);
        }
        Some(task_event::Event::State(state)) => of_state(state, data),
        Some(task_event::Event::Output(output)) => ("IN_PROGRESS", of_output(output, data)),
        None => ("IN_PROGRESS", data),
    };
    let response = EventResponse { event_ref: task_id, status, result: EventResult { data } };
    Event::default().id(id).event("response").json_data(StreamEvent { event_response: response })
}

fn of_state(event: StateEvent, data: EventData) -> (&'static str, EventData) {
    let status = event_status(event.status(), event.r#final);
    let StateEvent { status: _, state, message, r#final: is_final, exit_code, worker_id: _ } = event;
    let output = if is_final { String::new() } else { state };
    (status, EventData { output: Some(output), is_final, exit_code, message: Some(message), ..data })
}

fn of_output(event: OutputEvent, data: EventData) -> EventData {
    let r#type = if event.stream() == OutputStream::Stderr { "stderr" } else { "stdout" };
    let OutputEvent { stream: _, offset: _, data: bytes, dropped } = event;
    let (output, output_base64) = match std::str::from_utf8(&bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(&bytes))),
    };
    EventData { output, output_base64, r#type, dropped: Some(dropped).filter(|n| *n > 0), ..data }
}
