//! A task's story over server-sent events: from the beginning or behind `Last-Event-ID`, on until the end.
//!
//! Must never hold events back or drop them: each is asked for when the reader has room, and the scheduler reads it from
//! the store if it must. An event follows from the story alone, so it is the same for every reader, for ever.

use super::{Shared, refusal::Refusal};
use crate::app::Answers;
use axum::{
    http::{HeaderMap, HeaderName, StatusCode},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use domain::{Kind, StoryId};
use futures_util::{StreamExt as _, stream};
use std::time::Duration;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use wire::v1::{GetTaskRequest, TaskEvent, TaskStatus, WatchTaskRequest};

/// Proxies close what is silent for a minute.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// Browsers take an error for the end: so long a reader waits for a scheduler that is being restarted.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);
/// Streams that are opened at the same time; the others wait their turn. Opening one costs the scheduler reads of its
/// store: of a thousand at once the last would be given up.
static OPENING: Semaphore = Semaphore::const_new(32);
/// The header with the last event that a reader has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx not to hold events back.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

/// Answers with the story, each event in the form that `form` gives it; 204 if all of it was seen: that ends an EventSource.
pub(super) async fn tell(
    app: &Shared,
    task_id: String,
    headers: &HeaderMap,
    form: impl Fn(TaskEvent) -> Result<Event, axum::Error> + Send + 'static,
) -> Result<Response, Refusal> {
    let after = last_seen(headers)?;
    let resumed = !after.is_empty();
    let request = WatchTaskRequest { task_id: task_id.clone(), after, output: true };
    let mut story = open(app, request).await?;
    if resumed && has_ended(app, task_id).await? {
        // What is left of a story that has ended is there at once, if anything is.
        let Some(first) = story.next().await else { return Ok(StatusCode::NO_CONTENT.into_response()) };
        story = stream::iter([first]).chain(story).boxed();
    }
    let events = story.map(move |event| match event {
        Ok(event) => form(event),
        Err(error) => Event::default().event("problem").json_data(Refusal::from(error).into_problem()),
    });
    let comments = KeepAlive::new().interval(COMMENT_EVERY).text("still here");
    Ok(([UNBUFFERED], Sse::new(events).keep_alive(comments)).into_response())
}

fn last_seen(headers: &HeaderMap) -> Result<String, Refusal> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(String::new()) };
    let text = value.to_str().unwrap_or("?");
    let known = text.is_empty() || text.parse::<StoryId>().is_ok();
    if known { Ok(text.into()) } else { Err(Refusal::wrong("Last-Event-ID: is not the id of an event")) }
}

async fn open(app: &Shared, request: WatchTaskRequest) -> Result<Answers<TaskEvent>, Refusal> {
    // Never closed.
    let _turn = OPENING.acquire().await;
    let begun = Instant::now();
    loop {
        match app.watch(request.clone()).await {
            Err(error) if error.kind() == Kind::Unavailable && begun.elapsed() < OPEN_WITHIN => sleep(PAUSE).await,
            answer => return answer.map_err(Refusal::from),
        }
    }
}

async fn has_ended(app: &Shared, task_id: String) -> Result<bool, Refusal> {
    let task = app.get(GetTaskRequest { task_id }).await?;
    Ok(match task.status() {
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::TimedOut => true,
        TaskStatus::Unspecified | TaskStatus::Pending | TaskStatus::Running | TaskStatus::Dispatched => false,
    })
}
