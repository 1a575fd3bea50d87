//! Where a keeper's files lie in the worker's data directory.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The socket's name.
const SOCKET: &str = "keeper.sock";

/// The data directory, held open: a socket's address takes only 108 bytes, so it is reached through /proc/self/fd.
pub(super) struct DataDir {
    path: PathBuf,
    open: File,
}

impl DataDir {
    /// Opens the directory, which must exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let open = File::options().read(true).custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC).open(&path)?;
        Ok(Self { path, open })
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The socket, by an address that is always short enough. Valid while `self` lives, in this process.
    pub(super) fn socket(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET}", self.open.as_raw_fd()).into()
    }

    /// Locked by a living keeper.
    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("keeper.lock")
    }

    /// What a keeper writes to stderr: a few lines in its life.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("keeper.log")
    }

    /// Working directories, `<task>/<attempt>` below.
    pub(super) fn tasks(&self) -> PathBuf {
        self.path.join("tasks")
    }

    /// Output that the keeper doesn't hold in memory.
    pub(super) fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Empty directories that will become working directories.
    pub(super) fn pool(&self) -> PathBuf {
        self.path.join("pool")
    }
}

/// Takes the lock that a living keeper holds; it lasts as long as the file is open.
///
/// # Errors
/// `WouldBlock`: a keeper lives.
pub(super) fn lock(dir: &DataDir) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(dir.lock())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}
