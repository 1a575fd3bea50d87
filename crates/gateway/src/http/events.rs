//! `/tasks/{id}/events`: a task's whole story in our own words.

use super::{
    Shared,
    extract::Segment,
    refusal::Refusal,
    story,
    words::{status, time},
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::ToSchema;
use wire::v1::{OutputEvent, OutputStream, ProgressEvent, StateEvent, TaskEvent, task_event};

/// The data of every event: when and where in the story, and what happened.
#[derive(Serialize, ToSchema)]
pub(super) struct Told {
    task_id: String,
    /// Position in the story, from 1.
    sequence: u64,
    at: String,
    /// From 1; 0 before the first.
    attempt: u32,
    #[serde(flatten)]
    what: What,
}

/// What happened, by the event's name.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum What {
    /// `event: state`
    State {
        status: &'static str,
        state: String,
        message: String,
        agent_id: String,
        /// Nothing follows.
        r#final: bool,
        /// Of the last event.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
    /// `event: progress`
    Progress { percent: i32, message: String },
    /// `event: output`
    Output {
        /// stdout or stderr.
        stream: &'static str,
        /// Of the first byte, in its stream of this attempt.
        offset: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<String>,
        /// Instead of `data`, of bytes that are no text.
        #[serde(skip_serializing_if = "Option::is_none")]
        data_base64: Option<String>,
        /// Bytes that a limit cut here.
        dropped: u64,
    },
}

/// Follows everything that happens to a task, from the beginning or behind `Last-Event-ID`, until its end.
#[utoipa::path(get, path = "/tasks/{id}/events", operation_id = "watch_task", tag = "streams",
    params(("id" = String, Path, description = "The task's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen")),
    responses(
        (status = 200, description = "`event: state`, `event: progress` and `event: output`", body = Told, content_type = "text/event-stream"),
        (status = 204, description = "All of it was seen and nothing follows")))]
pub(super) async fn follow(
    State(app): State<Shared>,
    Segment(task_id): Segment,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    story::tell(&app, task_id, &headers, event).await
}

fn event(told: TaskEvent) -> Result<Event, axum::Error> {
    let TaskEvent { task_id, id, sequence, at_ms, attempt, event } = told;
    // Of an event from the future we know that it was.
    let (name, what) = event.map_or_else(|| state(StateEvent::default()), what);
    let told = Told { task_id, sequence, at: time(at_ms), attempt, what };
    Event::default().id(id).event(name).json_data(told)
}

fn what(event: task_event::Event) -> (&'static str, What) {
    match event {
        task_event::Event::State(event) => state(event),
        task_event::Event::Progress(ProgressEvent { percent, message }) => {
            ("progress", What::Progress { percent, message })
        }
        task_event::Event::Output(event) => output(event),
    }
}

fn state(event: StateEvent) -> (&'static str, What) {
    let StateEvent { status: number, state, message, r#final, exit_code, worker_id } = event;
    let exit_code = r#final.then_some(exit_code);
    ("state", What::State { status: status(number), state, message, agent_id: worker_id, r#final, exit_code })
}

fn output(event: OutputEvent) -> (&'static str, What) {
    let stream = if event.stream() == OutputStream::Stderr { "stderr" } else { "stdout" };
    let OutputEvent { stream: _, offset, data: bytes, dropped } = event;
    let (data, data_base64) = match std::str::from_utf8(&bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(&bytes))),
    };
    ("output", What::Output { stream, offset, data, data_base64, dropped })
}
