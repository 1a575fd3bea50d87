//! How a reading call is continued after what was received, and how a broken connection is told from an answer.

use crate::v1;
use tonic::{Code, Status};

/// A request whose answer is a stream that can be continued.
pub trait Resume: Clone {
    /// What the stream carries.
    type Item;
    /// Moves the request behind this item.
    fn seen(&mut self, item: &Self::Item);
    /// Whether nothing can follow this item.
    fn is_last(item: &Self::Item) -> bool;
}

impl Resume for v1::WatchTaskRequest {
    type Item = v1::TaskEvent;
    fn seen(&mut self, event: &v1::TaskEvent) {
        self.after.clone_from(&event.id);
    }
    fn is_last(event: &v1::TaskEvent) -> bool {
        event.is_final()
    }
}

impl Resume for v1::ReadOutputRequest {
    type Item = v1::OutputChunk;
    fn seen(&mut self, chunk: &v1::OutputChunk) {
        // "The latest" may be another one by then.
        self.attempt = chunk.attempt;
        self.offset = chunk.offset + chunk.data.len() as u64 + chunk.dropped;
    }
    fn is_last(_: &v1::OutputChunk) -> bool {
        false
    }
}

/// Whether the connection, not the server, ended the call: nobody knows what the server did.
pub fn broken(status: &Status) -> bool {
    let transport = match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled | Code::Unavailable | Code::DeadlineExceeded => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    };
    // Our servers' own answers carry their kind.
    transport && !crate::error::says_kind(status)
}

/// Whether the call never left: there was no connection to send it on.
pub fn unsent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Error, Kind};

    #[test]
    fn a_reader_goes_on_behind_what_it_has() {
        let mut request = v1::ReadOutputRequest { follow: true, ..Default::default() };
        request.seen(&v1::OutputChunk { attempt: 2, offset: 10, data: "abc".into(), dropped: 0 });
        assert_eq!((request.attempt, request.offset), (2, 13));
        request.seen(&v1::OutputChunk { attempt: 2, offset: 13, data: "".into(), dropped: 100 });
        assert_eq!((request.attempt, request.offset, request.follow), (2, 113, true));
    }

    #[test]
    fn an_answer_of_ours_is_no_broken_connection() {
        for kind in [Kind::Unavailable, Kind::Internal, Kind::Unknown, Kind::NotFound] {
            assert!(!broken(&crate::status(&Error::new(kind, "x"))));
        }
        assert!(broken(&Status::unavailable("the service is stopping")));
        assert!(broken(&Status::unknown("transport error")));
        assert!(!broken(&Status::unimplemented("")));
    }
}
