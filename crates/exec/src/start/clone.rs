//! The clone and what the child does before it becomes the program.
//!
//! The child shares our memory (`CLONE_VM|CLONE_VFORK`: a start costs the same from a large process), so that it runs
//! on a stack of its own, allocates nothing, and only makes system calls. It also shares our descriptor table until
//! `close_range(UNSHARE)` copies no more than the lowest few: with a thousand tasks held, copying all of them would
//! cost a third of the starts. So what it is to keep is put at fixed low descriptors first.

use super::command::{Command, User};
use super::failure::{Failure, Stage};
use super::prepared::Prepared;
use super::{Child, Started, child};
use crate::checked;
use crate::tree::Tree;
use std::{
    arch::asm,
    ffi::c_void,
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    os::unix::fs::FileExt,
    ptr,
};

/// stdin, stdout, stderr, progress.
pub(super) const SLOTS: usize = 4;
/// The lowest slot: above what the child dups them to.
const FIRST_SLOT: i32 = 10;
/// The child's stack: it needs a few hundred bytes.
const STACK_BYTES: usize = 64 * 1024;
/// Between a task and its reader; the most that anybody may ask for. Smaller if the system says so.
const PIPE_BYTES: i32 = 1024 * 1024;

/// What a child shares with us, and that we get a descriptor of it.
const FLAGS: i32 = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD;
/// `CLONE_INTO_CGROUP`: libc has it in a type that is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts processes. Whoever holds it must start from one thread at a time.
#[derive(Debug)]
pub struct Starter {
    /// Consecutive descriptors, on /dev/null between starts.
    slots: [OwnedFd; SLOTS],
    null: OwnedFd,
    stack: Stack,
    /// The limits of open descriptors and of core files that tasks get, whatever ours are.
    descriptors: libc::rlimit,
    core: libc::rlimit,
}

#[derive(Debug)]
struct Stack(*mut c_void);

// SAFETY: it is only an address; `Starter` is used by one thread at a time.
unsafe impl Send for Stack {}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length; no child runs on it any more.
        unsafe { libc::munmap(self.0, STACK_BYTES) };
    }
}

impl Starter {
    /// Reserves descriptors and the child's stack, and remembers the limits of open descriptors and core files for the tasks.
    ///
    /// # Errors
    /// No descriptors or no memory.
    pub fn new() -> io::Result<Self> {
        let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
        let mut held = Vec::new();
        // Others may hold some in between: go on until there are enough in a row.
        let slots = loop {
            // SAFETY: duplicates a valid descriptor; the result is ours.
            let fd = unsafe { checked(libc::fcntl(null.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_SLOT).into())? };
            // SAFETY: just made.
            held.push(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
            let run: Vec<RawFd> = held.iter().rev().take(SLOTS).map(AsRawFd::as_raw_fd).collect();
            if run.len() == SLOTS && run.windows(2).all(|w| matches!(w, [high, low] if *high == *low + 1)) {
                let tail = held.split_off(held.len() - SLOTS);
                if let Ok(slots) = <[OwnedFd; SLOTS]>::try_from(tail) {
                    break slots;
                }
            }
        };
        // SAFETY: a fresh anonymous mapping.
        let stack = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
            libc::mmap(ptr::null_mut(), STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if stack == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack(stack);
        let mut descriptors = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let mut core = descriptors;
        // SAFETY: filled by the calls.
        unsafe {
            checked(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut descriptors).into())?;
            checked(libc::getrlimit(libc::RLIMIT_CORE, &raw mut core).into())?;
        }
        Ok(Self { slots, null, stack, descriptors, core })
    }

    /// Starts a command inside `tree`. When this returns, the program is loaded, or nothing is left of it.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start(&mut self, command: &Command, tree: &mut Tree) -> Result<Started, Failure> {
        let prepared = Prepared::new(command, false)?;
        let pipes = Pipes::new(command.stdin).map_err(|e| Failure::process(&e))?;
        if let Some(user) = command.user {
            pipes.give_to(user).map_err(|e| Failure::process(&e))?;
        }
        self.fill(&pipes).map_err(|e| Failure::process(&e))?;
        let mut started = self.clone(prepared, command.user, tree);
        if let Err((Failure { stage: Stage::Program, .. }, true)) = &started {
            started = self.clone(Prepared::new(command, true)?, command.user, tree);
        }
        self.empty();
        let child = started.map_err(|(failure, _)| failure)?;
        tree.started(&child);
        let Pipes { stdin: _, stdout, stderr, progress } = pipes;
        Ok(Started { child, stdout: stdout.0, stderr: stderr.0, progress: progress.0 })
    }

    /// Puts the child's ends where it will find them.
    fn fill(&self, pipes: &Pipes) -> io::Result<()> {
        let Pipes { stdin, stdout, stderr, progress } = pipes;
        let ends = [stdin.as_ref().unwrap_or(&self.null), &stdout.1, &stderr.1, &progress.1];
        for (end, slot) in ends.into_iter().zip(&self.slots) {
            dup_over(end, slot)?;
        }
        Ok(())
    }

    /// Lets go of the child's ends: otherwise its pipes would never end.
    fn empty(&self) {
        for slot in &self.slots {
            // Cannot fail: both are open, and nothing is allocated.
            let _ = dup_over(&self.null, slot);
        }
    }

    fn clone(&mut self, mut prepared: Prepared, user: Option<&User>, tree: &Tree) -> Result<Child, (Failure, bool)> {
        let (leaf, procs) = tree.join();
        let first = self.slots.first().map_or(FIRST_SLOT, AsRawFd::as_raw_fd);
        let mut plan = child::Plan {
            dir: prepared.dir.as_ptr(),
            files: prepared.files.as_ptr(),
            argv: prepared.argv.as_ptr(),
            script: prepared.script.as_mut_ptr(),
            env: prepared.env.as_ptr(),
            first_slot: first,
            procs: procs.unwrap_or(-1),
            descriptors: &raw const self.descriptors,
            core: &raw const self.core,
            user: user.map(|User { uid, gid, groups }| child::Ids {
                uid: *uid,
                gid: *gid,
                groups: groups.as_ptr(),
                count: groups.len(),
            }),
            failed: None,
        };
        // SAFETY: the plan and all it points to live until the child has exec'ed or ended (VFORK).
        let cloned = unsafe { clone(&self.stack, leaf, child::run, (&raw mut plan).cast()) };
        let failed = |stage, errno| (prepared.failure(stage, errno), prepared.split);
        let child = cloned.map_err(|e| failed(Stage::Process, e.raw_os_error().unwrap_or(libc::EIO)))?;
        // SAFETY: the child wrote it before it ended, or not at all; no one else writes it.
        match unsafe { ptr::read_volatile(&raw const plan.failed) } {
            None => Ok(child),
            Some((stage, errno)) => {
                // It has ended: VFORK held us until then. A zombie at most, so that this never waits.
                let _ = child.reap();
                Err(failed(stage, errno))
            }
        }
    }
}

/// Whether a process can be cloned right into this cgroup: by doing it.
pub(crate) fn probe(leaf: RawFd) -> io::Result<()> {
    let starter = Starter::new()?;
    // SAFETY: the child only ends.
    let child = unsafe { clone(&starter.stack, Some(leaf), child::end, ptr::null_mut()) }?;
    child.reap().map(|_| ())
}

struct Pipes {
    stdin: Option<OwnedFd>,
    stdout: (OwnedFd, OwnedFd),
    stderr: (OwnedFd, OwnedFd),
    progress: (OwnedFd, OwnedFd),
}

impl Pipes {
    fn new(stdin: &[u8]) -> io::Result<Self> {
        let stdin = if stdin.is_empty() { None } else { Some(file_of(stdin)?) };
        Ok(Self { stdin, stdout: pipe(PIPE_BYTES)?, stderr: pipe(PIPE_BYTES)?, progress: pipe(0)? })
    }

    /// Lets a user open them anew, as `/dev/stdout` does.
    fn give_to(&self, user: &User) -> io::Result<()> {
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

fn dup_over(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    // SAFETY: both are open and ours; what `to` was is closed, and its number stays ours.
    checked(unsafe { libc::dup3(from.as_raw_fd(), to.as_raw_fd(), libc::O_CLOEXEC) }.into()).map(|_| ())
}

/// Clones a process that runs `body(argument)` on `stack`, if given right in the cgroup of the directory `leaf`.
/// Returns once it has exec'ed or ended.
///
/// # Safety
/// `body` must only make system calls and not return; `argument` must be what it expects.
unsafe fn clone(
    stack: &Stack,
    leaf: Option<RawFd>,
    body: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> io::Result<Child> {
    let mut pidfd: RawFd = -1;
    // SAFETY: plain data.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = FLAGS as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    args.stack = stack.0 as u64;
    args.stack_size = STACK_BYTES as u64;
    if let Some(leaf) = leaf {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = leaf as u64;
    }
    let call = [libc::SYS_clone3 as u64, (&raw const args) as u64, size_of::<libc::clone_args>() as u64, 0];
    // No handler of ours may run in the child, which shares our memory.
    // SAFETY: sets of signals are plain data.
    let result = unsafe {
        let (mut all, mut before) = std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let mut result = raw_clone(call, body, argument);
        if result == -i64::from(libc::ENOSYS) && leaf.is_none() {
            result = raw_clone(older(stack, &mut pidfd), body, argument);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        result
    };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result as i32));
    }
    // SAFETY: the kernel made it for us.
    Ok(Child { pid: result as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// The same by the older call, which knows no cgroups. Docker lets containers have no other: its filter can look into
/// flags only where they are arguments, so it says that there is no `clone3`.
fn older(stack: &Stack, pidfd: &mut RawFd) -> [u64; 4] {
    let flags = (FLAGS | libc::SIGCHLD) as u64;
    [libc::SYS_clone as u64, flags, stack.0 as u64 + STACK_BYTES as u64, (&raw mut *pidfd) as u64]
}

/// A system call – its number and first three arguments – that clones. The child continues on its own stack and calls `body`
/// right there: it must not return into our frames, which are ours again when it execs.
#[cfg(target_arch = "x86_64")]
unsafe fn raw_clone(call: [u64; 4], body: extern "C" fn(*mut c_void) -> !, argument: *mut c_void) -> i64 {
    let [number, first, second, third] = call;
    let result: i64;
    // SAFETY: the kernel reads and writes what the arguments point to; in the parent only the named registers change.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") 0_u64,
            in("r8") 0_u64,
            in("r12") body,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn raw_clone(call: [u64; 4], body: extern "C" fn(*mut c_void) -> !, argument: *mut c_void) -> i64 {
    let [number, first, second, third] = call;
    let result: i64;
    // SAFETY: the kernel reads and writes what the arguments point to; in the parent only the named registers change.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, #0",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") 0_u64,
            in("x4") 0_u64,
            in("x20") body,
            in("x21") argument,
        );
    }
    result
}
