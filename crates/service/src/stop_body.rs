//! A response body that ends when the service stops, or when its caller's token is good for nothing any more.
//!
//! Open streams hold up a graceful stop for ever (axum #2673, hyper #2787). What is ready is still sent: an answer is
//! never cut, only waiting for more is.

use crate::peers::Call;
use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue},
};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub(crate) struct StopBody {
    inner: Body,
    stop: CancellationToken,
    /// Made when the inner body is first waited for: most answers never are.
    wait: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Calls of gRPC end with trailers that say why.
    grpc: bool,
    trailers: fn() -> HeaderMap,
    ended: bool,
    /// The call's place, until it is answered in full.
    _call: Option<Call>,
}

impl StopBody {
    pub(crate) fn new(inner: Body, stop: CancellationToken, grpc: bool, call: Call) -> Self {
        Self { _call: Some(call), ..Self::because(inner, stop, grpc, stopping) }
    }

    /// A body that ends for another reason, which these trailers say.
    pub(crate) fn because(inner: Body, stop: CancellationToken, grpc: bool, trailers: fn() -> HeaderMap) -> Self {
        Self { inner, stop, wait: None, grpc, trailers, ended: false, _call: None }
    }
}

impl HttpBody for StopBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let this = &mut *self;
        let wait = this.wait.get_or_insert_with(|| Box::pin(this.stop.clone().cancelled_owned()));
        if wait.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.ended = true;
        Poll::Ready(if this.grpc { Some(Ok(Frame::trailers((this.trailers)()))) } else { None })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// UNAVAILABLE: clients resume elsewhere or later.
fn stopping() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("14"));
    trailers.insert("grpc-message", HeaderValue::from_static("the service is stopping"));
    trailers
}
