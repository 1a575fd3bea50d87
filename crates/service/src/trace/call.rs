//! The call being answered: where it stands in a trace.

use super::{Kind, Span, Tracer};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, Response},
};
use domain::TraceContext;
use std::time::SystemTime;

/// The header, and the metadata of gRPC.
const TRACEPARENT: &str = "traceparent";
/// What goes with it; may be there several times.
const TRACESTATE: &str = "tracestate";
/// What nobody wants to see traced.
const QUIET: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/grpc.health.", "/grpc.reflection."];

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
    static STATE: String;
}

/// The span of the call being answered or, if nobody records it, that of the caller.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok().flatten()
}

/// The caller's `tracestate`, which goes wherever its trace goes; else empty.
pub fn state() -> String {
    STATE.try_with(String::clone).unwrap_or_default()
}

/// What the caller says. Anything odd counts as nothing, as W3C asks for.
pub(crate) fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACEPARENT)?.to_str().ok()?.trim().parse().ok()
}

/// What goes with what the caller says; of no use without that. Anything odd counts as nothing here too.
pub(crate) fn caller_state(headers: &HeaderMap) -> String {
    if !headers.contains_key(TRACESTATE) || caller(headers).is_none() {
        return String::new();
    }
    let parts: Option<Vec<_>> = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    let whole = parts.unwrap_or_default().join(",");
    if domain::check_trace_state(&whole).is_ok() { whole } else { String::new() }
}

/// Runs in the place of a call.
pub(crate) async fn scoped<F: Future>(context: Option<TraceContext>, state: String, work: F) -> F::Output {
    CURRENT.scope(context, STATE.scope(state, work)).await
}

/// A span of the call, if it is to be recorded: the caller's trace goes on; where the service is a front door, one begins.
pub(crate) fn answering(tracer: &Tracer, front: bool, request: &Request<Body>) -> Option<Answering> {
    let parent = caller(request.headers());
    if !tracer.records(parent.as_ref()) {
        return None;
    }
    let path = request.uri().path();
    let grpc = crate::http::is_grpc(request.headers());
    if parent.is_none() && !(front && makes_tasks(request, grpc)) {
        return None;
    }
    if QUIET.iter().any(|quiet| path.starts_with(quiet)) {
        return None;
    }
    let mut attributes = Vec::with_capacity(4);
    let name = match path.trim_start_matches('/').split_once('/') {
        Some((service, method)) if grpc => {
            attributes.push(("rpc.system", "grpc".to_owned()));
            attributes.push(("rpc.service", service.to_owned()));
            attributes.push(("rpc.method", method.to_owned()));
            format!("{service}/{method}")
        }
        Some(_) | None => {
            attributes.push(("http.request.method", request.method().to_string()));
            attributes.push(("url.path", path.to_owned()));
            request.method().to_string()
        }
    };
    let began = SystemTime::now();
    Some(Answering { context: Tracer::place(parent.as_ref()), parent, name, attributes, began })
}

/// Whether a trace may begin with this call: most others look at tasks, again and again.
fn makes_tasks(request: &Request<Body>, grpc: bool) -> bool {
    match request.uri().path().rsplit_once('/') {
        Some((_, method)) if grpc => method.starts_with("Submit") || method.starts_with("Retry"),
        Some(_) | None => request.method() == Method::POST,
    }
}

/// A call under way.
pub(crate) struct Answering {
    pub context: TraceContext,
    parent: Option<TraceContext>,
    name: String,
    attributes: Vec<(&'static str, String)>,
    began: SystemTime,
}

impl Answering {
    /// The answer has begun; of a stream, nothing more is recorded.
    pub fn answered(self, tracer: &Tracer, response: &Response<Body>) {
        let Self { context, parent, name, mut attributes, began } = self;
        let http = response.status();
        attributes.push(("http.response.status_code", http.as_u16().to_string()));
        // A refused call has no body: its status stands in the headers.
        let grpc = response.headers().get("grpc-status").and_then(|v| v.to_str().ok()).unwrap_or("0");
        let error = if grpc != "0" {
            Some(format!("grpc-status {grpc}"))
        } else if http.is_server_error() {
            Some(http.to_string())
        } else {
            None
        };
        let parent = parent.map(|parent| parent.span);
        let ended = SystemTime::now();
        tracer.record(Span { name: name.into(), kind: Kind::Server, context, parent, began, ended, attributes, error });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, traceparent: Option<&str>) -> Request<Body> {
        let mut request = Request::builder().uri(path).header("content-type", "application/grpc");
        if let Some(value) = traceparent {
            request = request.header(TRACEPARENT, value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_trace_goes_on_everywhere_and_begins_only_at_a_front_door() {
        let (to, _spans) = tokio::sync::mpsc::channel(1);
        let on = Tracer(Some(to));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let unsampled = &parent.replace("-01", "-00");
        let path = "/orchestrator.v1.Gateway/SubmitTask";
        let cases = [
            (&on, true, path, Some(parent), true),
            (&on, false, path, Some(parent), true),
            (&on, true, path, None, true),
            (&on, false, path, None, false),
            (&on, true, "/orchestrator.v1.Gateway/ListTasks", None, false),
            (&on, true, "/orchestrator.v1.Gateway/ListTasks", Some(parent), true),
            (&on, true, path, Some("nonsense"), true),
            (&on, true, path, Some(unsampled), false),
            (&on, true, "/metrics", Some(parent), false),
            (&Tracer::default(), true, path, Some(parent), false),
        ];
        for (tracer, front, path, traceparent, recorded) in cases {
            let found = answering(tracer, front, &request(path, traceparent));
            assert_eq!(found.is_some(), recorded, "{front} {path} {traceparent:?}");
        }
        let state = |parent, states: &[&str]| {
            let mut request = request(path, parent);
            for state in states {
                request.headers_mut().append(TRACESTATE, state.parse().unwrap());
            }
            caller_state(request.headers())
        };
        assert_eq!(state(Some(parent), &["a=1,b=2", "c=3"]), "a=1,b=2,c=3");
        assert_eq!(state(Some(parent), &["a=1", "odd"]) + &state(Some("odd"), &["a=1"]) + &state(None, &["a=1"]), "");
        let found = answering(&on, false, &request(path, Some(parent))).unwrap();
        assert_eq!(found.name, "orchestrator.v1.Gateway/SubmitTask");
        assert_eq!(found.context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(found.context.span_id(), "00f067aa0ba902b7");
    }
}
