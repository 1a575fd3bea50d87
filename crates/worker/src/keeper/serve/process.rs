//! A running process as the keeper holds it: its tree, its pipes, and how they are read and let go.

use super::directories::Directories;
use super::output::Usage;
use super::poll::{Pipe, Poll, Source};
use crate::keeper::event::{Launch, SpoolLimits};
use crate::keeper::launch;
use crate::keeper::ledger::Ledger;
use crate::keeper::message::{self as m, Variable};
use domain::{StreamName, limits};
use exec::start::{Child, Command, Loading, Started, Starter};
use exec::tree::{Tree, Trees};
use rustix::io::Errno;
use std::{io, os::fd::OwnedFd, path::Path, sync::Arc};

/// What all attempts use, one at a time.
pub(super) struct Shared {
    pub(super) poll: Poll,
    pub(super) trees: Trees,
    pub(super) starter: Starter,
    pub(super) directories: Directories,
    /// Unreleased output of all attempts.
    pub(super) usage: Usage,
    /// How much of it there may be, as the last worker said.
    pub(super) limits: SpoolLimits,
    /// Where what memory doesn't hold is.
    pub(super) spool: Arc<Path>,
    /// What has been read from which pipe; `None` where that can't be had.
    pub(super) ledger: Option<Ledger>,
    /// Nobody takes output on: spool instead of blocking tasks.
    pub(super) detached: bool,
    /// What a pipe is read into.
    pub(super) buffer: Box<[u8]>,
    /// Pipes that were found closed: their processes are ending, most of them.
    pub(super) closed: u64,
}

impl Shared {
    pub(super) fn new(poll: Poll, trees: Trees, starter: Starter, directories: Directories, spool: Arc<Path>) -> Self {
        let buffer = vec![0; limits::FRAME_BYTES].into_boxed_slice();
        let (usage, limits) = (Usage::default(), SpoolLimits::default());
        let ledger = Ledger::new().inspect_err(|error| eprintln!("no ledger: {error}")).ok();
        Self { poll, trees, starter, directories, usage, limits, spool, ledger, detached: true, buffer, closed: 0 }
    }
}

/// What a read of a pipe gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pulled {
    /// So many bytes, in the shared buffer.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// It is closed.
    Ended,
}

pub(super) struct Process {
    key: u64,
    child: Child,
    /// Until its program is known to be loaded, or not to be.
    loading: Option<Loading>,
    pub(super) tree: Tree,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    progress: Option<OwnedFd>,
    /// Bytes of stdout and of stderr read so far.
    read: [u64; 2],
    /// Where in the ledger they are written down, once its worker has the pipes.
    slot: Option<u32>,
}

impl Process {
    /// Starts it, or says why there is no process. Whether its program could be loaded shows later.
    pub(super) fn start(
        key: u64,
        what: &Launch,
        base: &[Variable],
        own_dir: &Path,
        shared: &mut Shared,
    ) -> Result<Self, String> {
        let env = launch::environment(base, what);
        let (program, stdin) = launch::program(what);
        let dir = launch::working_dir(what).unwrap_or(own_dir);
        let user = what.user.as_ref().map(launch::user);
        let mut tree = shared.trees.take(launch::cookie_of(what.attempt)).map_err(|e| format!("no tree: {e}"))?;
        let started =
            match shared.starter.start(&Command { program, env: &env, dir, stdin, user: user.as_ref() }, &mut tree) {
                Ok(started) => started,
                Err(failure) => {
                    shared.trees.give_back(tree);
                    return Err(failure.to_string());
                }
            };
        let Started { child, stdout, stderr, progress, loading } = started;
        let (stdout, stderr, progress) = (Some(stdout), Some(stderr), Some(progress));
        let loading = Some(loading);
        let process = Self { key, child, loading, tree, stdout, stderr, progress, read: [0; 2], slot: None };
        match process.watch(&shared.poll) {
            Ok(()) => Ok(process),
            Err(error) => {
                process.abandon(shared);
                Err(format!("it cannot be watched: {error}"))
            }
        }
    }

    fn watch(&self, poll: &Poll) -> io::Result<()> {
        poll.add(self.child.pidfd(), Source::Exit(self.key))?;
        Pipe::ALL.into_iter().try_for_each(|pipe| self.resume(pipe, poll))
    }

    /// Whether its program isn't known to be loaded yet.
    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Says once that its program is loaded, or why it can't be: then the process ends.
    pub(super) fn loaded(&mut self, starter: &mut Starter) -> Option<Result<(), String>> {
        let how = starter.loaded(self.loading.as_ref()?)?;
        self.loading = None;
        Some(how.map_err(|failure| failure.to_string()))
    }

    /// Its end has been noticed.
    pub(super) fn unwatch_exit(&self, poll: &Poll) {
        poll.remove(self.child.pidfd());
    }

    pub(super) fn child(&self) -> &Child {
        &self.child
    }

    fn slot(&mut self, pipe: Pipe) -> &mut Option<OwnedFd> {
        match pipe {
            Pipe::Stdout => &mut self.stdout,
            Pipe::Stderr => &mut self.stderr,
            Pipe::Progress => &mut self.progress,
        }
    }

    fn fd(&self, pipe: Pipe) -> Option<&OwnedFd> {
        match pipe {
            Pipe::Stdout => self.stdout.as_ref(),
            Pipe::Stderr => self.stderr.as_ref(),
            Pipe::Progress => self.progress.as_ref(),
        }
    }

    /// Reads a pipe once.
    pub(super) fn pull(&mut self, pipe: Pipe, shared: &mut Shared) -> Pulled {
        let Shared { poll, buffer, ledger, closed, .. } = shared;
        let Some(fd) = self.fd(pipe) else { return Pulled::Ended };
        let stream = pipe.stream();
        let entry = self.slot.zip(stream).zip(ledger.as_ref());
        entry.iter().for_each(|((slot, stream), ledger)| ledger.begin(*slot, *stream));
        let read = rustix::io::read(fd, &mut **buffer);
        let length = read.map_or(0, |length| length as u64);
        entry.iter().for_each(|((slot, stream), ledger)| ledger.done(*slot, *stream, length));
        let [stdout, stderr] = &mut self.read;
        match stream {
            Some(StreamName::Stdout) => *stdout += length,
            Some(StreamName::Stderr) => *stderr += length,
            None => {}
        }
        match read {
            Ok(0) => {
                *closed += 1;
                self.close(pipe, poll)
            }
            Ok(length) => Pulled::Bytes(length),
            Err(Errno::AGAIN | Errno::INTR) => Pulled::Nothing,
            Err(_) => self.close(pipe, poll),
        }
    }

    pub(super) fn close(&mut self, pipe: Pipe, poll: &Poll) -> Pulled {
        if let Some(fd) = self.slot(pipe).take() {
            poll.remove(&fd);
        }
        Pulled::Ended
    }

    /// Stops listening to a pipe: its writer will block.
    pub(super) fn pause(&self, pipe: Pipe, poll: &Poll) {
        if let Some(fd) = self.fd(pipe) {
            poll.remove(fd);
        }
    }

    pub(super) fn resume(&self, pipe: Pipe, poll: &Poll) -> io::Result<()> {
        self.fd(pipe).map_or(Ok(()), |fd| poll.add(fd, Source::Pipe(self.key, pipe)))
    }

    /// Copies of what its worker needs when we are gone, and what to say with them. `None` if there are none to be had.
    pub(super) fn entrust(&mut self, output: bool, ledger: &mut Ledger) -> Option<(m::Custody, Vec<OwnedFd>)> {
        let [read, other] = self.read;
        let slot = match self.slot {
            Some(slot) => slot,
            None => *self.slot.insert(ledger.take(read, other)?),
        };
        let stdout = self.stdout.as_ref().filter(|_| output);
        let fds = [Some(self.child.pidfd()), stdout, self.stderr.as_ref()];
        let custody = m::Custody { attempt: None, stdout: stdout.is_some(), stderr: self.stderr.is_some(), slot };
        let rights = fds.into_iter().flatten().map(OwnedFd::try_clone).collect::<io::Result<_>>();
        rights.ok().map(|rights| (custody, rights))
    }

    /// Lets it go once it has ended.
    pub(super) fn finish(mut self, shared: &mut Shared) {
        // Who was killed as it was loaded has not been asked for.
        let _ = self.loaded(&mut shared.starter);
        if let (Some(slot), Some(ledger)) = (self.slot.take(), &mut shared.ledger) {
            ledger.give_back(slot);
        }
        for pipe in Pipe::ALL {
            self.close(pipe, &shared.poll);
        }
        self.unwatch_exit(&shared.poll);
        // From here on its number may be another's.
        let _ = self.child.reap();
        shared.trees.give_back(self.tree);
    }

    /// Lets it go as it is: killed, without waiting for anything.
    pub(super) fn abandon(mut self, shared: &mut Shared) {
        let _ = self.tree.kill();
        self.child.kill();
        self.finish(shared);
    }
}
