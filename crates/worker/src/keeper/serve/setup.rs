//! From a fresh process to a listening keeper.

use super::directories::Directories;
use super::poll::Poll;
use super::process::Shared;
use super::server::Server;
use crate::keeper::paths::{self, DataDir};
use crate::keeper::{descriptors, spawn, sweep};
use domain::KillLevel;
use exec::start::Starter;
use exec::tree::{Trees, name_for};
use rustix::fs::Mode;
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    os::unix::net::UnixListener,
    path::PathBuf,
    process::ExitCode,
};

/// Is a keeper until nobody needs it. `args` are those after the prefix of [`crate::keeper::KeeperOptions`]: the data
/// directory and, if it is not to be the best there is, the kill level. To be called before any thread is started.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // stdout goes to the worker that waits; stderr to the log.
            let _ = writeln!(io::stdout(), "{error}");
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: impl IntoIterator<Item = OsString>) -> io::Result<()> {
    let mut args = args.into_iter();
    let data_dir: PathBuf =
        args.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no data directory given"))?.into();
    let level = args.next().map(|text| KillLevel::parse(&text.to_string_lossy()));
    let dir = DataDir::open(&data_dir)?;
    let _lock = paths::lock(&dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(error.kind(), spawn::LOCKED),
        _else => error,
    })?;
    let signals = Signals::new()?;
    if !sweep::all(&dir)? {
        eprintln!("some processes that an earlier keeper left behind don't end");
    }
    // Before the limits are changed: tasks get them as they were.
    let starter = Starter::new()?;
    service::forbid_core_files();
    // Each task costs us seven.
    descriptors::raise_limit();
    let trees = Trees::open(&name_for(dir.path())?, level);
    // Under the lock nobody else listens: what is there is a dead keeper's.
    let _ = fs::remove_file(dir.socket());
    // Nobody else's from its first moment. No thread runs yet that could notice.
    let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let listener = UnixListener::bind(dir.socket());
    rustix::process::umask(mask);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    let shared = Shared::new(Poll::new()?, trees, starter, Directories::open(&dir)?, dir.spool().into());
    let server = Server::new(shared, listener, signals)?;
    say_ready()?;
    let done = server.run();
    let _ = fs::remove_file(dir.socket());
    done
}

/// Tells the worker that waits, and lets go of its pipe.
fn say_ready() -> io::Result<()> {
    let mut stdout = io::stdout();
    // It may be gone already; then the next one finds us.
    let _ = stdout.write_all(spawn::READY).and_then(|()| stdout.flush());
    let null = File::options().write(true).open("/dev/null")?;
    // SAFETY: both are open; standard output stays valid.
    if unsafe { libc::dup2(null.as_raw_fd(), libc::STDOUT_FILENO) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// SIGTERM, as something to read: the machine or its operator ends us. SIGINT and SIGHUP are the worker's business.
pub(super) struct Signals(OwnedFd);

impl Signals {
    fn new() -> io::Result<Self> {
        // SAFETY: sets of signals are plain data; nobody else is running in this process.
        unsafe {
            for ignored in [libc::SIGHUP, libc::SIGINT, libc::SIGPIPE] {
                libc::signal(ignored, libc::SIG_IGN);
            }
            // Whoever started the worker may ignore it; then nobody could ask how a child ended.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let mut set: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd == -1 { Err(io::Error::last_os_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// Takes what has arrived.
    pub(super) fn take(&self) {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        while rustix::io::read(&self.0, &mut info).is_ok_and(|length| length > 0) {}
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
