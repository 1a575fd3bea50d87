//! Starting a command as the leader of a session of its own, inside its tree from its first instruction.

mod bay;
mod child;
mod clone;
mod command;
mod failure;
mod line;
mod pipes;
mod prepared;
mod starter;
mod syscall;

pub use command::{Command, Program, User};
pub use failure::{Failure, Stage};
pub use line::words;
pub(crate) use starter::probe;
pub use starter::{Loading, Starter};

use crate::checked;
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// The descriptor on which a task may write progress, as `BATON_PROGRESS_FD` tells it.
pub const PROGRESS_FD: i32 = 3;

/// A process, and our ends of its pipes. All of them are close-on-exec and don't block.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    /// What it writes to descriptor 1.
    pub stdout: OwnedFd,
    /// What it writes to descriptor 2.
    pub stderr: OwnedFd,
    /// What it writes to descriptor [`PROGRESS_FD`].
    pub progress: OwnedFd,
    /// By which it is asked whether its program is loaded.
    pub loading: Loading,
}

/// A child process. It stays a zombie, and its number its own, until [`Child::reap`].
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// With this code, 0 to 255.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Child {
    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Becomes readable when the process ends.
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// How it ended, if it did; it stays a zombie.
    ///
    /// # Errors
    /// It has been reaped already.
    pub fn peek(&self) -> io::Result<Option<Status>> {
        self.wait(libc::WNOWAIT)
    }

    /// How it ended, if it did; its number is free then.
    ///
    /// # Errors
    /// It has been reaped already.
    pub fn reap(&self) -> io::Result<Option<Status>> {
        self.wait(0)
    }

    /// Kills the process, wherever it has gone to; not its tree.
    pub fn kill(&self) {
        // SAFETY: no memory is involved. It fails only for one that has ended.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), libc::SIGKILL, 0, 0) };
    }

    fn wait(&self, flags: i32) -> io::Result<Option<Status>> {
        // SAFETY: siginfo_t is plain data; the kernel fills it.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let id = self.pidfd.as_raw_fd().unsigned_abs();
        // SAFETY: `info` is valid for the call.
        let result = unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, libc::WEXITED | libc::WNOHANG | flags) };
        checked(result.into())?;
        // SAFETY: waitid filled the child's part, or left it zero.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        Ok(match (pid, info.si_code) {
            (0, _) => None,
            (_, libc::CLD_EXITED) => Some(Status::Code(status)),
            (_, _killed_or_dumped) => Some(Status::Signal(status)),
        })
    }
}
