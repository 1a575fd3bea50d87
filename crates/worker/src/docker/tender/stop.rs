//! SIGTERM: the keeper wants this process to end.

use std::{io, time::Instant};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether, and since when, this process is to end.
pub(super) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// Takes SIGTERM from here on.
    ///
    /// # Errors
    /// The system's.
    pub fn listen() -> io::Result<Self> {
        let mut signals = signal(SignalKind::terminate())?;
        let (asked, receiver) = watch::channel(None);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                asked.send_if_modified(|since| since.is_none() && since.replace(Instant::now()).is_none());
            }
        });
        Ok(Self(receiver))
    }

    /// Returns once it is.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(Option::is_some).await.is_err() {
            // No signals come any more: nobody asks.
            std::future::pending::<()>().await;
        }
    }

    /// Since when.
    pub fn since(&self) -> Option<Instant> {
        *self.0.borrow()
    }
}
