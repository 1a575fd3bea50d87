//! The one form of every error: `{"error": what is wrong, "details": what that means}`, with its status from the table that
//! gRPC's codes come from.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{Error, Kind};
use serde::Serialize;
use utoipa::ToSchema;

/// What a caller may be told instead of an answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

/// Every error, on every route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What is wrong; of a request that is wrong the field stands first.
    error: String,
    /// What that means for whoever asked.
    details: String,
}

impl Refusal {
    pub fn new(status: StatusCode, error: impl Into<String>, details: &str) -> Self {
        Self { status, problem: Problem { error: error.into(), details: details.into() } }
    }

    /// A wrong request.
    pub fn wrong(error: impl Into<String>) -> Self {
        Error::new(Kind::Invalid, error).into()
    }

    /// As it is said inside a stream, whose status was sent long ago.
    pub fn into_problem(self) -> Problem {
        self.problem
    }

    /// The same with another status: the few calls whose contract is older than the table.
    #[must_use]
    pub fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(wire::http_status(error.kind()), error.text(), meaning(error.kind()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "the request is wrong as it stands and will be refused again",
        Kind::NotFound => "there is no such thing here",
        Kind::Conflict => "it exists already, with another content",
        Kind::Precondition => "its state does not allow this",
        Kind::Exhausted => "a limit is reached: try again later",
        Kind::Unavailable => "somebody who is needed is away: try again later",
        Kind::Unauthenticated => "say who you are: Authorization: Bearer with a token",
        Kind::Denied => "this is not allowed from here",
        Kind::Unknown => "it may have been done or not: repeat it with the same idempotency key",
        Kind::DataLoss => "what was stored once is gone",
        Kind::Internal => "our own fault; the log of the service says more",
    }
}
