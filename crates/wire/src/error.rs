//! One table from kinds of errors to gRPC codes and HTTP statuses, and the way back.
//!
//! Two kinds share a gRPC code (an unknown outcome is UNAVAILABLE to every client, PROTOCOL P3), so the kind travels as a
//! trailer as well; who doesn't know it reads the code.

use domain::{Error, Kind};
use http::StatusCode;
use tonic::{Code, Status, metadata::MetadataValue};

/// The trailer that carries the kind.
const KIND: &str = "baton-kind";

/// Kind, its word in the trailer, gRPC code, HTTP status.
const TABLE: [(Kind, &str, Code, StatusCode); 11] = [
    (Kind::Invalid, "invalid", Code::InvalidArgument, StatusCode::BAD_REQUEST),
    (Kind::NotFound, "not_found", Code::NotFound, StatusCode::NOT_FOUND),
    (Kind::Conflict, "conflict", Code::AlreadyExists, StatusCode::CONFLICT),
    (Kind::Precondition, "precondition", Code::FailedPrecondition, StatusCode::CONFLICT),
    (Kind::Exhausted, "exhausted", Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
    (Kind::Unavailable, "unavailable", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
    (Kind::Unauthenticated, "unauthenticated", Code::Unauthenticated, StatusCode::UNAUTHORIZED),
    (Kind::Denied, "denied", Code::PermissionDenied, StatusCode::FORBIDDEN),
    (Kind::Unknown, "unknown", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
    (Kind::DataLoss, "data_loss", Code::DataLoss, StatusCode::INTERNAL_SERVER_ERROR),
    (Kind::Internal, "internal", Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
];

fn row(kind: Kind) -> (Kind, &'static str, Code, StatusCode) {
    // Every kind has a row (tested); a missing one would be our own fault.
    TABLE.into_iter().find(|row| row.0 == kind).unwrap_or(TABLE[TABLE.len() - 1])
}

/// The HTTP status of a kind.
pub fn http_status(kind: Kind) -> StatusCode {
    row(kind).3
}

/// What a gRPC caller gets to see of an error.
pub fn status(error: &Error) -> Status {
    let (_, word, code, _) = row(error.kind());
    let mut status = Status::new(code, error.text());
    status.metadata_mut().insert(KIND, MetadataValue::from_static(word));
    status
}

/// The error that a gRPC answer stands for, from whatever server.
pub fn error(status: &Status) -> Error {
    let said = status.metadata().get(KIND).and_then(|v| v.to_str().ok());
    let kind = match TABLE.iter().find(|row| Some(row.1) == said) {
        Some(row) => row.0,
        None => kind_of(status.code()),
    };
    Error::new(kind, status.message())
}

/// Whether the answer says its kind itself.
pub(crate) fn says_kind(status: &Status) -> bool {
    status.metadata().contains_key(KIND)
}

/// For answers without our trailer. CANCELLED, UNKNOWN and DEADLINE_EXCEEDED come from broken transports: whether the
/// call was carried out is not known.
fn kind_of(code: Code) -> Kind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
        Code::NotFound => Kind::NotFound,
        Code::AlreadyExists => Kind::Conflict,
        Code::FailedPrecondition | Code::Aborted => Kind::Precondition,
        Code::ResourceExhausted => Kind::Exhausted,
        Code::Unavailable => Kind::Unavailable,
        Code::Unauthenticated => Kind::Unauthenticated,
        Code::PermissionDenied => Kind::Denied,
        Code::Cancelled | Code::Unknown | Code::DeadlineExceeded => Kind::Unknown,
        Code::DataLoss => Kind::DataLoss,
        Code::Ok | Code::Unimplemented | Code::Internal => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        for (kind, word, code, _) in TABLE {
            let there = status(&Error::new(kind, "name: must not be empty – ü"));
            let said = there.metadata().get(KIND).and_then(|v| v.to_str().ok());
            assert_eq!((there.code(), said), (code, Some(word)));
            let back = error(&there);
            assert_eq!((back.kind(), back.text()), (kind, "name: must not be empty – ü"));
        }
    }

    #[test]
    fn an_unknown_outcome_is_unavailable_to_those_who_know_only_codes() {
        assert_eq!(status(&Error::new(Kind::Unknown, "")).code(), Code::Unavailable);
        assert_eq!(http_status(Kind::Unknown), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn answers_of_other_servers_are_read_by_their_code() {
        for (code, kind) in
            [(Code::NotFound, Kind::NotFound), (Code::Cancelled, Kind::Unknown), (Code::DataLoss, Kind::DataLoss)]
        {
            assert_eq!(error(&Status::new(code, "x")).kind(), kind);
        }
    }
}
