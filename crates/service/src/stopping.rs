//! The wish to stop: asked for by a signal or by a composing process, seen by every loop and stream.

use futures_util::{Stream, StreamExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Two steps: a graceful stop, then the wish to hurry.
#[derive(Clone, Debug, Default)]
pub struct Stopping {
    stop: CancellationToken,
    hurry: CancellationToken,
}

impl Stopping {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a graceful stop.
    pub fn request(&self) {
        self.stop.cancel();
    }

    /// Asks to stop at once.
    pub fn hurry(&self) {
        self.stop.cancel();
        self.hurry.cancel();
    }

    /// Whether a stop was asked for.
    pub fn is_requested(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns when a stop is asked for.
    pub async fn requested(&self) {
        self.stop.cancelled().await;
    }

    /// Returns when haste is asked for: the second signal.
    pub async fn hurried(&self) {
        self.hurry.cancelled().await;
    }

    /// The stream, ending without an error when a stop is asked for. Not for readers, who would take it for the end of what
    /// they read: the answers of a [`crate::Service`] are cut with UNAVAILABLE by themselves.
    pub fn until<S: Stream>(&self, stream: S) -> impl Stream<Item = S::Item> + use<S> {
        stream.take_until(self.stop.clone().cancelled_owned())
    }

    /// The token itself, for what takes one.
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Turns SIGINT and SIGTERM into a stop, the second into haste. They are caught from this call on; the future runs until
    /// the process ends.
    pub(crate) fn follow_signals(self) -> std::io::Result<impl Future<Output = ()>> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            loop {
                // Signals never end; if they did, nobody could ask any more.
                let caught = tokio::select! {
                    caught = interrupt.recv() => caught,
                    caught = terminate.recv() => caught,
                };
                if caught.is_none() {
                    return std::future::pending().await;
                }
                if self.is_requested() {
                    self.hurry();
                } else {
                    tracing::info!("Stopping");
                    self.request();
                }
            }
        })
    }
}
