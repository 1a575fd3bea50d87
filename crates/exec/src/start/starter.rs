//! Starting commands, several at a time.

use super::bay::Bay;
use super::child::{self, Ids, Plan};
use super::clone::{self, Call};
use super::command::{Command, User};
use super::failure::Failure;
use super::pipes::Pipes;
use super::prepared::Prepared;
use super::{Child, Started};
use crate::checked;
use crate::tree::Tree;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::AtomicU32,
    time::Duration,
};

/// Starts under way at a time. Who starts more of them waits a moment for one that is.
const BAYS: usize = 16;
/// That moment: a start that takes longer is held up by something that others need not wait for.
const MOMENT: Duration = Duration::from_millis(20);
/// The highest signal number; 64 on all Linux ports but MIPS.
const SIGNALS: i32 = 64;

/// Starts processes. Whoever holds it must start from one thread at a time.
#[derive(Debug)]
pub struct Starter {
    bays: Vec<Bay>,
    null: OwnedFd,
    /// The limits of open descriptors and of core files that tasks get, whatever ours are.
    descriptors: libc::rlimit,
    core: libc::rlimit,
    /// Signals that we ignore, which a child would go on ignoring.
    ignored: u64,
    /// The number of the last start.
    last: u64,
    /// Starts whose bay is another's by now, until somebody asks for them.
    landed: BTreeMap<u64, Result<(), Failure>>,
}

/// A start whose program isn't known to be loaded. Every one is to be asked for with [`Starter::loaded`] until it is known.
#[derive(Debug)]
pub struct Loading(u64);

impl Starter {
    /// Remembers the limits of open descriptors and core files for the tasks, and which signals we ignore: none more may be
    /// from then on.
    ///
    /// # Errors
    /// No descriptors or no memory.
    pub fn new() -> io::Result<Self> {
        let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
        // Now: later their descriptors would be above those of all tasks, which a child would have to copy.
        let bays = (0..BAYS).map(|_| Bay::new(&null)).collect::<io::Result<_>>()?;
        let mut descriptors = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let mut core = descriptors;
        // SAFETY: filled by the calls.
        unsafe {
            checked(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut descriptors).into())?;
            checked(libc::getrlimit(libc::RLIMIT_CORE, &raw mut core).into())?;
        }
        Ok(Self { bays, null, descriptors, core, ignored: ignored(), last: 0, landed: BTreeMap::new() })
    }

    /// Starts a command inside `tree`, and doesn't wait until its program is loaded: [`Starter::loaded`] says when it is, or
    /// why it can't be; then its process has ended, and is to be reaped.
    ///
    /// # Errors
    /// Why there is no process.
    pub fn start(&mut self, command: &Command, tree: &mut Tree) -> Result<Started, Failure> {
        let failed = |e: io::Error| Failure::process(&e);
        let mut prepared = Prepared::new(command)?;
        let pipes = Pipes::new(command.stdin).map_err(failed)?;
        if let Some(user) = command.user {
            pipes.give_to(user).map_err(failed)?;
        }
        let at = self.free_bay().map_err(failed)?;
        let (leaf, procs) = tree.join();
        self.last += 1;
        let (number, null) = (self.last, &self.null);
        let plan = self.plan(&mut prepared, procs);
        let Some(bay) = self.bays.get_mut(at) else { return Err(failed(io::ErrorKind::Other.into())) };
        let Pipes { stdin, stdout, stderr, progress } = &pipes;
        let launched = bay
            .fill([stdin.as_ref().unwrap_or(null), &stdout.1, &stderr.1, &progress.1])
            .and_then(|()| bay.launch(number, Plan { first_slot: bay.first_slot(), ..plan }, prepared, leaf));
        let child = launched.map_err(|error| {
            bay.empty(null);
            failed(error)
        })?;
        if procs.is_some() {
            // It joins its tree itself. Who asks that tree to end must find it there.
            bay.wait(None);
        }
        tree.started(&child);
        let Pipes { stdin: _, stdout, stderr, progress } = pipes;
        Ok(Started { child, stdout: stdout.0, stderr: stderr.0, progress: progress.0, loading: Loading(number) })
    }

    /// Whether a start's program is loaded, or why it can't be. `None` while that isn't known, and once it has been told. One
    /// that was killed meanwhile counts as loaded: nobody can tell.
    pub fn loaded(&mut self, Loading(number): &Loading) -> Option<Result<(), Failure>> {
        match self.bays.iter_mut().find(|bay| bay.number() == Some(*number)) {
            Some(bay) => bay.land(&self.null),
            None => self.landed.remove(number),
        }
    }

    /// The lowest bay that nobody uses.
    fn free_bay(&mut self) -> io::Result<usize> {
        let free = |bays: &[Bay]| bays.iter().position(Bay::is_free);
        if let Some(at) = free(&self.bays) {
            return Ok(at);
        }
        if let Some(oldest) = self.bays.iter().min_by_key(|bay| bay.number()) {
            oldest.wait(Some(MOMENT));
        }
        for bay in &mut self.bays {
            let number = bay.number();
            self.landed.extend(number.zip(bay.land(&self.null)));
        }
        if let Some(at) = free(&self.bays) {
            return Ok(at);
        }
        self.bays.push(Bay::new(&self.null)?);
        Ok(self.bays.len() - 1)
    }

    fn plan(&self, prepared: &mut Prepared, procs: Option<RawFd>) -> Plan {
        Plan {
            dir: prepared.dir.as_ptr(),
            files: prepared.files.as_ptr(),
            argv: prepared.argv.as_ptr(),
            script: prepared.script.as_mut_ptr(),
            shell: prepared.shell.as_ref().map_or(ptr::null(), super::prepared::Array::as_ptr),
            env: prepared.env.as_ptr(),
            first_slot: 0,
            procs: procs.unwrap_or(-1),
            descriptors: self.descriptors,
            core: self.core,
            user: prepared.user.as_ref().map(|User { uid, gid, groups }| Ids {
                uid: *uid,
                gid: *gid,
                groups: groups.as_ptr(),
                count: groups.len(),
            }),
            signals: self.ignored,
            failed: None,
        }
    }
}

/// Whether a process can be cloned right into this cgroup: by doing it.
pub(crate) fn probe(leaf: RawFd) -> io::Result<()> {
    let stack = super::bay::Stack::new()?;
    let busy = AtomicU32::new(1);
    // SAFETY: the child only ends, which is waited for.
    let child = unsafe { clone::clone(&stack, Call::Newer(Some(leaf)), &raw const busy, child::end, ptr::null_mut()) }?;
    clone::wait(&busy, None);
    child.wait_end()
}

/// The signals that this process ignores: bit 0 is signal 1.
fn ignored() -> u64 {
    let ignores = |signal: &i32| {
        // SAFETY: plain data, which the kernel fills.
        unsafe {
            let mut now = [0_u64; 4];
            let none = ptr::null::<u64>();
            let asked = libc::syscall(libc::SYS_rt_sigaction, *signal, none, now.as_mut_ptr(), child::SIGSET_BYTES);
            asked == 0 && now.first() == Some(&(libc::SIG_IGN as u64))
        }
    };
    (1..=SIGNALS).filter(ignores).fold(0, |all, signal| all | 1 << (signal - 1))
}

impl Child {
    /// Waits until it has ended, and reaps it.
    fn wait_end(&self) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.pidfd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        while self.reap()?.is_none() {
            // SAFETY: one valid entry.
            unsafe { libc::poll(&raw mut poll, 1, -1) };
        }
        Ok(())
    }
}
