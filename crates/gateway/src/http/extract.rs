//! What a request says, read strictly: unknown fields, wrong types and bodies that are too large are refused by name.

use super::refusal::Refusal;
use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use domain::limits;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A body that takes longer is given up: it would hold its memory for as long as its sender likes.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON body of at most [`limits::MESSAGE_BYTES`].
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !may_be_json(request.headers()) {
            let error = "the body must be JSON, with Content-Type application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, "nothing else is understood"));
        }
        let body = Limited::new(request.into_body(), limits::MESSAGE_BYTES).collect();
        let Ok(read) = tokio::time::timeout(BODY_WITHIN, body).await else {
            let error = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error, "nothing was done"));
        };
        let bytes = read.map_err(|error| unread(&*error))?.to_bytes();
        parse(&bytes).map(Self)
    }
}

/// Nothing said is JSON, and so is what `curl -d` says of it.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(said) = headers.get(header::CONTENT_TYPE) else { return true };
    let said = said.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    said == "application/json" || said.ends_with("+json") || said == "application/x-www-form-urlencoded"
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Refusal {
    if error.is::<http_body_util::LengthLimitError>() {
        let error = format!("the body is over {} bytes", limits::MESSAGE_BYTES);
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "larger inputs belong into files");
    }
    // What the port itself holds against a body, it says as it does to callers of gRPC.
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(status) = error.downcast_ref::<tonic::Status>() {
            return wire::error(status).into();
        }
        next = error.source();
    }
    Refusal::wrong("the body broke off")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    if bytes.trim_ascii().is_empty() {
        return Err(Refusal::wrong("the body is empty; it must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let data = error.inner().classify() == serde_json::error::Category::Data;
        if data { misread(&error) } else { no_json(error.inner()) }
    })?;
    json.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> Refusal {
    Refusal::wrong(format!("the body is not JSON: {error}"))
}

/// Names the field, if it is about one, and not the place in the text.
fn misread<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Refusal {
    let (path, text) = (error.path().to_string(), error.inner().to_string());
    let text = text.split(" at line ").next().unwrap_or_default().to_owned();
    Refusal::wrong(if path == "." { text } else { format!("{path}: {text}") })
}

/// The query's fields.
pub(super) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let fields = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(fields).map(Self).map_err(|error| misread(&error))
    }
}

/// The one variable part of the path.
pub(super) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|error| Refusal::wrong(format!("the path: {}", error.body_text())))
    }
}
