//! The loop's end of a stream: what waits to be sent on it.

use std::collections::VecDeque;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

/// A stream to the scheduler, open or not.
pub(crate) struct Link<Out> {
    open: Option<(mpsc::Sender<Out>, CancellationToken)>,
    /// Bounded by the session: reports once each, output up to its window, and a heartbeat now and then.
    waiting: VecDeque<Out>,
}

impl<Out> Default for Link<Out> {
    fn default() -> Self {
        Self { open: None, waiting: VecDeque::new() }
    }
}

impl<Out> Link<Out> {
    /// The stream is open.
    pub fn up(&mut self, to: mpsc::Sender<Out>, cut: CancellationToken) {
        self.waiting.clear();
        self.open = Some((to, cut));
    }

    /// It is over. What waited is dropped: the session says it again on the next one.
    pub fn down(&mut self) {
        self.waiting.clear();
        self.open = None;
    }

    /// Ends it.
    pub fn cut(&mut self) {
        if let Some((_, cut)) = &self.open {
            cut.cancel();
        }
        self.down();
    }

    /// Sends, now or when there is room.
    pub fn send(&mut self, message: Out) {
        if self.open.is_some() {
            self.waiting.push_back(message);
        }
    }

    /// Hands over what there is room for.
    pub fn flush(&mut self) {
        let Some((to, _)) = &self.open else { return };
        while let Some(message) = self.waiting.pop_front() {
            match to.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => return self.waiting.push_front(message),
                // Its end comes as an event.
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }

    /// Returns when something waits and there is room for it.
    pub async fn room(&self) {
        match &self.open {
            // A closed stream's end comes as an event.
            Some((to, _)) if !self.waiting.is_empty() => match to.reserve().await {
                Ok(_) => {}
                Err(_) => std::future::pending().await,
            },
            Some(_) | None => std::future::pending().await,
        }
    }
}
