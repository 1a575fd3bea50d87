//! epoll, and what its tokens mean.

use domain::StreamName;
use rustix::event::{Timespec, epoll};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

/// Who became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A worker wants to connect.
    Listener,
    /// A signal arrived.
    Signals,
    /// The connection of this number can be read or written.
    Link(u64),
    /// The process of this attempt ended.
    Exit(u64),
    /// A pipe of this attempt can be read.
    Pipe(u64, Pipe),
}

/// The pipes of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pipe {
    Stdout,
    Stderr,
    Progress,
}

impl Pipe {
    pub(super) const ALL: [Self; 3] = [Self::Stdout, Self::Stderr, Self::Progress];

    /// Of what a task writes to its users.
    pub(super) fn stream(self) -> Option<StreamName> {
        match self {
            Self::Stdout => Some(StreamName::Stdout),
            Self::Stderr => Some(StreamName::Stderr),
            Self::Progress => None,
        }
    }
}

/// Low bits of a token; the others are a number.
const KIND_BITS: u32 = 3;

impl Source {
    fn token(self) -> u64 {
        let (number, kind) = match self {
            Self::Listener => (0, 0),
            Self::Signals => (0, 1),
            Self::Link(number) => (number, 2),
            Self::Exit(key) => (key, 3),
            Self::Pipe(key, Pipe::Stdout) => (key, 4),
            Self::Pipe(key, Pipe::Stderr) => (key, 5),
            Self::Pipe(key, Pipe::Progress) => (key, 6),
        };
        number << KIND_BITS | kind
    }

    fn of(token: u64) -> Option<Self> {
        let number = token >> KIND_BITS;
        Some(match token & ((1 << KIND_BITS) - 1) {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Link(number),
            3 => Self::Exit(number),
            4 => Self::Pipe(number, Pipe::Stdout),
            5 => Self::Pipe(number, Pipe::Stderr),
            6 => Self::Pipe(number, Pipe::Progress),
            _unused => return None,
        })
    }
}

/// Events taken at one time: fair enough with a thousand tasks.
const BATCH: usize = 256;

pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(BATCH) })
    }

    pub(super) fn add(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(source.token()), epoll::EventFlags::IN)?)
    }

    /// Whether to tell when it can be written, too.
    pub(super) fn write_too(&self, fd: impl AsFd, source: Source, write: bool) -> io::Result<()> {
        let flags = if write { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(source.token()), flags)?)
    }

    /// Always before closing: a child that hasn't exec'ed yet could keep the description, and so the registration,
    /// alive, and the loop would spin. Nothing happens if it isn't there.
    pub(super) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or `until` has passed.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> io::Result<Vec<Source>> {
        let timeout = until.map(|until| {
            // Whole milliseconds, rounded up: never early, which would spin.
            let left = until.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
            let ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
            Timespec { tv_sec: ms / 1_000, tv_nsec: ms % 1_000 * 1_000_000 }
        });
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().filter_map(|e| Source::of(e.data.u64())).collect())
    }
}
