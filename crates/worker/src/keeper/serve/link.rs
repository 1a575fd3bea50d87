//! The connection to the worker: bytes in and out, nothing of what they mean.

use crate::keeper::{codec, descriptors, message as m};
use domain::Result;
use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// So much is encoded ahead of the socket: enough to keep it busy, so little that new things are not late.
const AHEAD_BYTES: usize = 1024 * 1024;
/// Read at one time.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Link {
    /// Which connection of this keeper's life, from 1: events of older ones mean nothing.
    pub(super) number: u64,
    pub(super) stream: UnixStream,
    /// It has said hello.
    pub(super) greeted: bool,
    /// What its worker speaks.
    pub(super) protocol: u32,
    /// epoll tells when it can be written.
    pub(super) watched: bool,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    written: usize,
    /// Descriptors that go with what begins here in `outgoing`.
    rights: VecDeque<(usize, Vec<OwnedFd>)>,
}

impl Link {
    pub(super) fn new(number: u64, stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (incoming, outgoing, rights) = Default::default();
        let (greeted, protocol, watched) = (false, m::OLDEST, false);
        Ok(Self { number, stream, greeted, protocol, watched, incoming, outgoing, written: 0, rights })
    }

    /// What has arrived, as far as messages are whole.
    ///
    /// # Errors
    /// The connection is over, or what arrives is none of ours.
    pub(super) fn read(&mut self) -> Result<Vec<m::Command>> {
        let over = |why: String| Err(domain::Error::unavailable(why));
        let begun = self.incoming.len();
        self.incoming.resize(begun + READ_BYTES, 0);
        let read = self.stream.read(self.incoming.get_mut(begun..).unwrap_or_default());
        self.incoming.truncate(begun + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => return over("the worker has hung up".into()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return over(error.to_string()),
        }
        let mut commands = Vec::new();
        let mut taken = 0;
        while let Some((message, length)) = codec::take::<m::ToKeeper>(self.incoming.get(taken..).unwrap_or_default())?
        {
            taken += length;
            // Without a command: one that only later builds know.
            commands.extend(message.command);
        }
        self.incoming.drain(..taken);
        Ok(commands)
    }

    /// Whether more may be put.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.len() - self.written < AHEAD_BYTES
    }

    pub(super) fn put(&mut self, news: m::News, rights: Vec<OwnedFd>) {
        if !rights.is_empty() {
            self.rights.push_back((self.outgoing.len(), rights));
        }
        codec::put(&m::ToWorker { news: Some(news) }, &mut self.outgoing);
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Writes what the socket takes; whether it might take more.
    ///
    /// # Errors
    /// The connection is over.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        while self.written < self.outgoing.len() {
            match self.write_some() {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Or it would grow for as long as the socket never quite empties it.
                    let written = std::mem::take(&mut self.written);
                    self.outgoing.drain(..written);
                    self.rights.iter_mut().for_each(|(at, _)| *at -= written);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(true)
    }

    /// Up to where the next descriptors belong.
    fn write_some(&mut self) -> io::Result<usize> {
        let here = self.rights.pop_front_if(|(at, _)| *at == self.written);
        let end = self.rights.front().map_or(self.outgoing.len(), |(at, _)| *at);
        let bytes = self.outgoing.get(self.written..end).unwrap_or_default();
        let Some((at, rights)) = here else { return self.stream.write(bytes) };
        let sent = descriptors::send(&self.stream, bytes, &rights);
        if sent.is_err() {
            self.rights.push_front((at, rights));
        }
        sent
    }
}
