//! Pipes between a task and its reader, and what it reads itself.

use super::command::User;
use crate::checked;
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    os::unix::fs::FileExt,
};

/// Between a task and its reader; the most that anybody may ask for. Smaller if the system says so.
const PIPE_BYTES: i32 = 1024 * 1024;

/// What a process is connected to: of a pipe the reading end, then the writing end.
pub(super) struct Pipes {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: (OwnedFd, OwnedFd),
    pub(super) stderr: (OwnedFd, OwnedFd),
    pub(super) progress: (OwnedFd, OwnedFd),
}

impl Pipes {
    pub(super) fn new(stdin: &[u8]) -> io::Result<Self> {
        let stdin = if stdin.is_empty() { None } else { Some(file_of(stdin)?) };
        Ok(Self { stdin, stdout: pipe(PIPE_BYTES)?, stderr: pipe(PIPE_BYTES)?, progress: pipe(0)? })
    }

    /// Lets a user open them anew, as `/dev/stdout` does.
    pub(super) fn give_to(&self, user: &User) -> io::Result<()> {
        for (_, end) in [&self.stdout, &self.stderr, &self.progress] {
            // SAFETY: a valid descriptor.
            checked(unsafe { libc::fchown(end.as_raw_fd(), user.uid, user.gid) }.into())?;
        }
        Ok(())
    }
}

/// A pipe whose reading end doesn't block.
fn pipe(bytes: i32) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: fills two descriptors, which are ours from then on.
    let (read, write) = unsafe {
        checked(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC).into())?;
        let [read, write] = fds;
        (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write))
    };
    // SAFETY: a valid descriptor.
    unsafe {
        checked(libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK).into())?;
        if bytes > 0 {
            // A user near its quota keeps the small pipe.
            libc::fcntl(read.as_raw_fd(), libc::F_SETPIPE_SZ, bytes);
        }
    }
    Ok((read, write))
}

/// Bytes as a file in memory that nobody can change: unlike a pipe, nobody needs to keep filling it.
fn file_of(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: a valid name; the result is ours.
    let file = unsafe {
        let fd = checked(libc::memfd_create(c"stdin".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING).into())?;
        File::from_raw_fd(fd as RawFd)
    };
    file.write_all_at(bytes, 0)?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: a valid descriptor.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
    Ok(file.into())
}
