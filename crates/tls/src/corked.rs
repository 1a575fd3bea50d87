//! A connection that tells what was written in one go, not in pieces: what is flushed leaves only after everyone who was
//! ready to write as well has had a turn.
//!
//! Why: a request's headers and body come from two tasks, the body's only runs once the headers are on their way. Sent
//! apart, they wake the other side twice, and that costs more than either of them (docs/performance.md).
//!
//! Must never hold anything back for a time: what is flushed leaves at the runtime's next turn, or earlier.

use bytes::{Buf as _, BytesMut};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is held at most, in bytes; larger writes aren't worth a copy and go straight through.
const HELD_MOST: usize = 16 << 10;

/// See the module.
pub(crate) struct Corked<T> {
    inner: T,
    held: BytesMut,
    /// The others have had their turn since something was first held.
    yielded: bool,
}

impl<T: AsyncWrite + Unpin> Corked<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, held: BytesMut::new(), yielded: false }
    }

    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(written);
        }
        self.yielded = false;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Corked<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Corked<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if self.held.len() + length > HELD_MOST {
            ready!(self.poll_release(cx))?;
        }
        if length > HELD_MOST {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        }
        parts.iter().for_each(|part| self.held.extend_from_slice(part));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            if !self.yielded {
                self.yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.poll_release(cx))?;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_release(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::io::AsyncWriteExt as _;

    /// Takes whatever comes, and remembers it write by write.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<Vec<u8>>>>);

    impl AsyncWrite for Seen {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Seen {
        fn lengths(&self) -> Vec<usize> {
            self.0.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    #[tokio::test]
    async fn what_is_written_before_the_flush_is_over_leaves_in_one_go() {
        let seen = Seen::default();
        let mut corked = Corked::new(seen.clone());
        corked.write_all(b"head").await.unwrap();
        let mut flush = Box::pin(async {
            corked.flush().await.unwrap();
            corked
        });
        assert!(look(&mut flush).await.is_pending(), "the others have their turn first");
        assert!(seen.lengths().is_empty());
        let mut corked = flush.await;
        assert_eq!(seen.lengths(), [4]);
        corked.write_all(b"body").await.unwrap();
        corked.write_all(b"more").await.unwrap();
        corked.flush().await.unwrap();
        assert_eq!(seen.lengths(), [4, 8]);
    }

    #[tokio::test]
    async fn what_is_large_goes_straight_through_behind_what_was_held() {
        let seen = Seen::default();
        let mut corked = Corked::new(seen.clone());
        corked.write_all(b"head").await.unwrap();
        corked.write_all(&vec![1; HELD_MOST + 1]).await.unwrap();
        assert_eq!(seen.lengths(), [4, HELD_MOST + 1]);
        corked.write_all(&vec![2; HELD_MOST]).await.unwrap();
        corked.write_all(b"x").await.unwrap();
        assert_eq!(seen.lengths(), [4, HELD_MOST + 1, HELD_MOST]);
        corked.shutdown().await.unwrap();
        assert_eq!(seen.lengths(), [4, HELD_MOST + 1, HELD_MOST, 1], "nothing is lost at the end");
    }

    /// One look at a future.
    async fn look<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
    }
}
