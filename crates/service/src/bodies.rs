//! What callers are sending, all together: so that no number of large bodies, or of slow ones, fills the memory.

use crate::limits::{BODIES_BYTES, BODY_FREE_BYTES, BODY_WITHIN};
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::time::Sleep;
use tonic::Status;

/// Bytes of bodies that are on their way.
#[derive(Default)]
pub(crate) struct Bodies(AtomicUsize);

/// A body that is counted as soon as it is larger than most, until it is dropped.
pub(crate) struct Counted {
    inner: Body,
    bodies: Arc<Bodies>,
    received: usize,
    held: usize,
    /// Set when it holds something that others might need.
    until: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    pub fn new(inner: Body, bodies: Arc<Bodies>) -> Self {
        Self { inner, bodies, received: 0, held: 0, until: None }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Status> {
        self.received = self.received.saturating_add(bytes);
        if self.received <= BODY_FREE_BYTES {
            return Ok(());
        }
        let more = self.received - self.held;
        if self.bodies.0.fetch_add(more, Relaxed).saturating_add(more) > BODIES_BYTES {
            self.bodies.0.fetch_sub(more, Relaxed);
            return Err(Status::resource_exhausted("too much is being sent at a time"));
        }
        self.held += more;
        self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_WITHIN)));
        Ok(())
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready()) {
            let text = format!("the request did not come within {} s", BODY_WITHIN.as_secs());
            return Poll::Ready(Some(Err(axum::Error::new(Status::resource_exhausted(text)))));
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end @ (Some(Err(_)) | None) => return Poll::Ready(end),
        };
        let taken = self.take(frame.data_ref().map_or(0, Bytes::len));
        Poll::Ready(Some(taken.map(|()| frame).map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bodies.0.fetch_sub(self.held, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bodies_are_free_and_large_ones_share() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _within = runtime.enter();
        let bodies = Arc::new(Bodies::default());
        let body = || Counted::new(Body::empty(), Arc::clone(&bodies));
        let mut small = body();
        assert!(small.take(BODY_FREE_BYTES).is_ok());
        assert_eq!(bodies.0.load(Relaxed), 0);
        let mut large = body();
        assert!(large.take(BODIES_BYTES).is_ok() && large.until.is_some());
        assert!(small.take(1).is_err(), "nothing is left");
        assert!(body().take(BODY_FREE_BYTES).is_ok(), "small ones go on");
        drop((large, small));
        assert_eq!(bodies.0.load(Relaxed), 0);
    }
}
