//! What a caller is told who may not call.

use super::{Caller, Scope};
use crate::http::json_error;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::time::Duration;

/// The trailer that says the kind of an error, as `wire` has it: without it an answer looks like a broken connection.
const KIND: HeaderName = HeaderName::from_static("baton-kind");

/// Why a call is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Nobody knows who calls.
    Unauthenticated(&'static str),
    /// The caller may not do this.
    Denied(String),
    /// The caller has called too often; after so long it may again.
    TooMany(Duration),
    /// This address has failed too often; what it says isn't read for so long.
    Unread(Duration),
    /// The tokens aren't known yet.
    Unready,
    /// There is no such thing.
    Nothing,
}

impl Refused {
    pub(super) fn missing(scope: Scope, caller: &Caller) -> Self {
        let has: Vec<&str> = caller.scopes().iter().map(Scope::as_str).collect();
        Self::Denied(format!("this needs the scope `{}`; {} has {}", scope.as_str(), caller.text(), has.join(", ")))
    }

    /// For metrics and the audit log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Denied(_) => "denied",
            Self::TooMany(_) | Self::Unread(_) => "too_many",
            Self::Unready => "unready",
            Self::Nothing => "nothing",
        }
    }

    /// Why exactly, for the audit log.
    pub(super) fn text(&self) -> String {
        self.parts().3
    }

    /// HTTP status, gRPC code, kind, what is wrong, and what that means.
    fn parts(&self) -> (StatusCode, &'static str, &'static str, String, &'static str) {
        match self {
            Self::Unauthenticated(text) => (
                StatusCode::UNAUTHORIZED,
                "16",
                "unauthenticated",
                (*text).to_owned(),
                "say who you are: Authorization: Bearer with a token",
            ),
            Self::Denied(text) => {
                (StatusCode::FORBIDDEN, "7", "denied", text.clone(), "this is not allowed to whoever calls")
            }
            Self::TooMany(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "8", "exhausted", "too many calls with this token".into(), LATER)
            }
            Self::Unread(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "8",
                "exhausted",
                "too many calls without a valid token from this address".into(),
                LATER,
            ),
            Self::Unready => (
                StatusCode::SERVICE_UNAVAILABLE,
                "14",
                "unavailable",
                "the tokens are not known here yet: the scheduler is away".into(),
                "somebody who is needed is away: try again later",
            ),
            Self::Nothing => {
                (StatusCode::NOT_FOUND, "12", "not_found", "no such route".into(), "there is no such thing")
            }
        }
    }

    pub(super) fn answer(&self, grpc: bool) -> Response {
        let (status, code, kind, text, details) = self.parts();
        let mut response = if grpc { StatusCode::OK.into_response() } else { json_error(status, &text, details) };
        let headers = response.headers_mut();
        if grpc {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from_static(code));
            headers.insert(KIND, HeaderValue::from_static(kind));
            // What is no header's value stays out; all our texts are, but for the dots of an ellipsis.
            if let Ok(text) = HeaderValue::from_str(&text.replace('…', "...")) {
                headers.insert("grpc-message", text);
            }
        }
        match self {
            Self::Unauthenticated(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"baton\""));
            }
            Self::TooMany(wait) | Self::Unread(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::Denied(_) | Self::Unready | Self::Nothing => {}
        }
        response
    }
}

const LATER: &str = "a limit is reached: try again after Retry-After seconds";
