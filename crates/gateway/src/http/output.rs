//! The raw bytes of one stream of a task.

use super::{
    Shared,
    extract::{Query, Segment},
    refusal::Refusal,
};
use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wire::v1;

/// Which bytes.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// stdout if nothing is said.
    #[param(inline)]
    stream: Stream,
    /// How many bytes to pass over.
    offset: u64,
    /// Go on until the attempt has ended.
    follow: bool,
    /// From 1; the latest if nothing is said.
    attempt: u32,
}

/// One of the two.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stream {
    #[default]
    Stdout,
    Stderr,
}

/// The bytes of one stream as they are; a limit's cuts leave no trace here.
#[utoipa::path(get, path = "/tasks/{id}/output", operation_id = "read_output", tag = "tasks",
    params(("id" = String, Path, description = "The task's id"), From),
    responses((status = 200, description = "The bytes", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn read(
    State(app): State<Shared>,
    Segment(task_id): Segment,
    Query(From { stream, offset, follow, attempt }): Query<From>,
) -> Result<Response, Refusal> {
    let stream = match stream {
        Stream::Stdout => v1::OutputStream::Stdout,
        Stream::Stderr => v1::OutputStream::Stderr,
    };
    let request = v1::ReadOutputRequest { task_id, stream: stream.into(), offset, follow, attempt };
    let chunks = app.output(request).await?.map(|chunk| chunk.map(|chunk| chunk.data));
    // What fails on the way breaks the answer off: its length was never promised.
    let body = Body::from_stream(chunks);
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}
