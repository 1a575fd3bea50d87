//! What comes from the keeper: messages, and the descriptors that belong to them.

use super::client::unreachable_keeper;
use super::custody::Custody;
use super::event::KeeperEvent;
use super::{codec, descriptors, message as m};
use domain::{Error, Result};
use std::{fs::File, io, os::fd::OwnedFd, sync::Arc};
use tokio::{io::Interest, net::unix::OwnedReadHalf};

/// Room for reading: a frame and what surrounds it.
const READ_BYTES: usize = 512 * 1024;

/// Bytes from the keeper and where the next message begins in them.
pub(super) struct Incoming {
    read: OwnedReadHalf,
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
    /// Descriptors whose messages are still to come, in order; `None`: no more are taken.
    rights: Option<Vec<OwnedFd>>,
    ledger: Option<Arc<File>>,
}

impl Incoming {
    pub(super) fn new(read: OwnedReadHalf) -> Self {
        Self { read, buffer: Vec::new(), taken: 0, filled: 0, rights: Some(Vec::new()), ledger: None }
    }

    /// The next event.
    ///
    /// # Errors
    /// The connection is over, or what arrives is none of ours.
    pub(super) async fn next(&mut self) -> Result<KeeperEvent> {
        loop {
            if let Some((message, length)) = codec::take(self.buffer.get(self.taken..self.filled).unwrap_or_default())?
            {
                self.taken += length;
                match self.event(message)? {
                    Some(event) => return Ok(event),
                    None => continue,
                }
            }
            self.buffer.copy_within(self.taken..self.filled, 0);
            self.filled -= std::mem::take(&mut self.taken);
            if self.buffer.len() < self.filled + READ_BYTES {
                self.buffer.resize(self.filled + READ_BYTES, 0);
            }
            if self.fill().await.map_err(unreachable_keeper)? == 0 {
                return Err(Error::unavailable("the keeper has hung up"));
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        loop {
            self.read.readable().await?;
            let socket: &tokio::net::UnixStream = self.read.as_ref();
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let rights = &mut self.rights;
            match socket.try_io(Interest::READABLE, || descriptors::receive(socket, room, rights)) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
                Ok(length) => {
                    self.filled += length;
                    return Ok(length);
                }
            }
        }
    }

    fn event(&mut self, message: m::ToWorker) -> Result<Option<KeeperEvent>> {
        match message.news {
            Some(m::News::Custody(custody)) => self.custody(custody),
            Some(m::News::Held(held)) => {
                if held.ledger {
                    self.ledger = self.right().map(|fd| Arc::new(File::from(fd)));
                }
                codec::event_from(m::ToWorker { news: Some(m::News::Held(held)) })
            }
            news @ (Some(m::News::Started(_) | m::News::Frame(_) | m::News::Progressed(_) | m::News::Exited(_))
            | None) => codec::event_from(m::ToWorker { news }),
        }
    }

    /// Takes as many descriptors as the message names, whether or not they are of use: others follow.
    fn custody(&mut self, message: m::Custody) -> Result<Option<KeeperEvent>> {
        let m::Custody { attempt, stdout, stderr, slot } = message;
        let attempt = codec::attempt_from(attempt)?;
        let process = self.right();
        let stdout = stdout.then(|| self.right());
        let stderr = stderr.then(|| self.right());
        let (Some(process), Some(ledger)) = (process, self.ledger.clone()) else { return Ok(None) };
        let custody = Custody::new(process, stdout.flatten(), stderr.flatten(), ledger, slot);
        Ok(Some(KeeperEvent::Custody { attempt, custody }))
    }

    fn right(&mut self) -> Option<OwnedFd> {
        self.rights.as_mut().filter(|rights| !rights.is_empty()).map(|rights| rights.remove(0))
    }
}
