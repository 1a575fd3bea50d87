//! Starting a keeper: this program again, in a session of its own.

use super::{client::KeeperOptions, message::Variable, paths::DataDir};
use domain::{Error, KillLevel, Kind, Result, WorkerId};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, ffi::OsStringExt, fs::OpenOptionsExt, process::CommandExt},
    process::{Command, Stdio},
};

/// What a keeper writes to stdout once it listens; anything else is why it doesn't.
pub(super) const READY: &[u8] = b"ready\n";
/// What it writes if another one lives: then it is to be tried again, because that one answers or is about to end.
pub(super) const LOCKED: &str = "another keeper has this data directory";
/// Variables that tasks take over from the worker, besides `LC_*` (PROTOCOL P7). Nothing else: a worker's environment
/// may hold secrets.
const KEPT: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];

/// The environment of every task of this worker.
pub(super) fn environment(worker: &WorkerId) -> Vec<Variable> {
    let kept = std::env::vars_os()
        .filter(|(name, _)| name.as_bytes().starts_with(b"LC_") || KEPT.iter().any(|k| name == k))
        .map(|(name, value)| Variable { name: name.into_vec(), value: value.into_vec() });
    let id = Variable { name: b"BATON_WORKER_ID".to_vec(), value: worker.as_str().into() };
    kept.chain([id]).collect()
}

/// Starts a keeper and waits until it listens.
///
/// # Errors
/// [`domain::Kind::Conflict`] if another one lives, else [`domain::Kind::Unavailable`] with the reason.
pub(super) async fn keeper(dir: &DataDir, options: &KeeperOptions) -> Result<()> {
    let mut child = command(dir, options)
        .and_then(|mut c| c.spawn())
        .map_err(|e| Error::unavailable(format!("the keeper cannot be started: {e}")))?;
    let Some(mut stdout) = child.stdout.take() else { return Err(Error::internal("a keeper without stdout")) };
    let said = tokio::task::spawn_blocking(move || {
        // Only the process in between, which ends at once.
        child.wait()?;
        let mut said = Vec::new();
        // Either the keeper says that it is ready and closes its stdout, or it ends.
        stdout.read_to_end(&mut said).map(|_| said)
    });
    match said.await {
        Ok(Ok(said)) if said == READY => Ok(()),
        Ok(Ok(said)) => {
            let why = String::from_utf8_lossy(&said).trim().to_owned();
            let kind = if why == LOCKED { Kind::Conflict } else { Kind::Unavailable };
            Err(Error::new(kind, format!("the keeper did not start: {why}")))
        }
        Ok(Err(error)) => Err(Error::unavailable(format!("the keeper did not start: {error}"))),
        Err(error) => Err(Error::internal(format!("waiting for the keeper: {error}"))),
    }
}

fn command(dir: &DataDir, options: &KeeperOptions) -> io::Result<Command> {
    let KeeperOptions { prefix, program, worker: _, kill_level, spool: _, switches_user: _ } = options;
    let log = File::options().append(true).create(true).mode(0o600).open(dir.log())?;
    let mut command = Command::new(program.as_deref().unwrap_or("/proc/self/exe".as_ref()));
    command.args(prefix).arg(dir.path()).args(kill_level.map(KillLevel::as_str));
    command.arg0("baton-keeper").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let (limit, core) = (super::descriptors::raise_limit(), service::core_limit());
    // SAFETY: only system calls, which touch no memory.
    unsafe {
        command.pre_exec(move || {
            // Its tasks get them as they were.
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            if let Some(core) = core {
                let _ = rustix::process::setrlimit(rustix::process::Resource::Core, core);
            }
            // The child of a child that ends at once is nobody's to reap.
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()),
                0 => {}
                _parent => libc::_exit(0),
            }
            // Fails only for the leader of a process group, which a fresh child never is.
            libc::setsid();
            // Whatever the worker inherited is none of the keeper's. Older kernels can't; then it is only held open.
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            Ok(())
        });
    }
    Ok(command)
}
