//! The plain HTTP routes of every port, and what is answered to anything else.

use crate::{
    Readiness, Stopping,
    auth::{self, Gate},
    metrics,
};
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;

#[derive(Clone)]
struct Shared {
    readiness: Readiness,
    stopping: Stopping,
}

/// Adds the routes to those of the port.
pub(crate) fn routes(own: Router, readiness: Readiness, stopping: Stopping, gate: &Gate) -> Router {
    let plain = Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "alive" }))))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Shared { readiness, stopping });
    own.reset_fallback().merge(auth::guarded(plain, gate, &[]).0).fallback(unknown)
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let mut waits = shared.readiness.waits();
    if shared.stopping.is_requested() {
        waits.push(("stopping", "the service is stopping".into()));
    }
    let status = if waits.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let list: Vec<_> = waits.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
    let listening = shared.readiness.listening();
    (status, Json(json!({ "ready": waits.is_empty(), "waiting_for": list, "listening": listening }))).into_response()
}

async fn metrics_text() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::handle().render()).into_response()
}

/// The answer to a method that a route doesn't have; which it has stands in `Allow`.
pub async fn wrong_method() -> Response {
    let body = json!({ "error": "the route has no such method", "details": "the methods that it has stand in Allow" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

async fn unknown(headers: HeaderMap) -> Response {
    refuse(is_grpc(&headers), StatusCode::NOT_FOUND, "no such route")
}

/// Whether a call speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

/// An error of plain HTTP, in the one form.
pub(crate) fn json_error(status: StatusCode, error: &str, details: &str) -> Response {
    (status, Json(json!({ "error": error, "details": details }))).into_response()
}

/// An error in the caller's language. A gRPC client that asks for an unknown route gets UNIMPLEMENTED, as it expects.
pub(crate) fn refuse(grpc: bool, status: StatusCode, text: &'static str) -> Response {
    if !grpc {
        let details = match status {
            StatusCode::NOT_FOUND => "see /openapi.json of a gateway's HTTP port for the routes that there are",
            _ => "the check of Host and Origin keeps foreign web pages out, on loopback too",
        };
        return json_error(status, text, details);
    }
    let unimplemented = status == StatusCode::NOT_FOUND;
    // 12 UNIMPLEMENTED, 7 PERMISSION_DENIED: the only two that a gRPC caller can get from here.
    let (http, code) = if unimplemented { (StatusCode::OK, "12") } else { (status, "7") };
    let mut response = http.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    headers.insert("grpc-message", HeaderValue::from_static(text));
    response
}

/// More calls at a time than are served: the caller should come again.
pub(crate) fn busy(grpc: bool) -> Response {
    let (error, details) = ("too many calls at a time", "a limit is reached: try again later");
    let (status, body) = if grpc {
        (StatusCode::OK, Body::empty())
    } else {
        (StatusCode::TOO_MANY_REQUESTS, Body::from(json!({ "error": error, "details": details }).to_string()))
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let kind = if grpc { "application/grpc" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if grpc {
        // 8: RESOURCE_EXHAUSTED.
        headers.insert("grpc-status", HeaderValue::from_static("8"));
        headers.insert("grpc-message", HeaderValue::from_static(error));
    }
    response
}
