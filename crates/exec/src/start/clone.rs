//! The clone.
//!
//! The child shares our memory (`CLONE_VM`: a start costs the same from a large process), so that it runs on a stack of its
//! own, allocates nothing, and only makes system calls. It also shares our descriptor table until `close_range(UNSHARE)`
//! copies no more than the lowest few: with a thousand tasks held, copying all of them would cost a third of the starts. So
//! what it is to keep is put at fixed low descriptors first.
//!
//! We don't wait for it (no `CLONE_VFORK`): others want to be heard meanwhile, and loading a program from a slow disk may take
//! long. When it has exec'ed or ended, the kernel sets a word (`CLONE_CHILD_CLEARTID`).

use super::Child;
use super::bay::{STACK_BYTES, Stack};
use crate::checked;
use std::{
    arch::asm,
    ffi::c_void,
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// What a child shares with us, that we get a descriptor of it, and that we see when it doesn't share our memory any more.
const FLAGS: i32 = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID;
/// `CLONE_CLEAR_SIGHAND`: the child has no handlers of ours. libc has both in a type that is too narrow.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// `CLONE_INTO_CGROUP`.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which system call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// `clone3`: without handlers of ours and, if given, right in the cgroup of this directory.
    Newer(Option<RawFd>),
    /// `clone`, which knows neither. Docker lets containers have no other: its filter can look into flags only where they
    /// are arguments, so it says that there is no `clone3` (`ENOSYS`).
    Older,
}

/// What the child calls on its stack. Only system calls, and no return.
pub(super) type Body = extern "C" fn(*mut c_void) -> !;

/// Clones a process that runs `body(argument)` on `stack`. All signals are blocked in it. `busy` is 1, and becomes 0 when it has
/// exec'ed or ended.
///
/// # Errors
/// There is no child.
///
/// # Safety
/// `body` must only make system calls and not return; `argument` must be what it expects; that, the stack and `busy` must live
/// until `busy` is 0.
pub(super) unsafe fn clone(
    stack: &Stack,
    call: Call,
    busy: *const AtomicU32,
    body: Body,
    argument: *mut c_void,
) -> io::Result<Child> {
    let mut pidfd: RawFd = -1;
    let (stack, pidfd_at) = (stack.0 as u64, (&raw mut pidfd) as u64);
    // SAFETY: plain data.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    let call = match call {
        Call::Newer(leaf) => {
            args.flags = FLAGS as u64 | CLONE_CLEAR_SIGHAND;
            args.pidfd = pidfd_at;
            args.child_tid = busy as u64;
            args.exit_signal = libc::SIGCHLD as u64;
            args.stack = stack;
            args.stack_size = STACK_BYTES as u64;
            if let Some(leaf) = leaf {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = leaf as u64;
            }
            [libc::SYS_clone3 as u64, (&raw const args) as u64, size_of::<libc::clone_args>() as u64, 0, 0, 0]
        }
        Call::Older => {
            let flags = (FLAGS | libc::SIGCHLD) as u64;
            let (fourth, fifth) = if cfg!(target_arch = "x86_64") { (busy as u64, 0) } else { (0, busy as u64) };
            [libc::SYS_clone as u64, flags, stack + STACK_BYTES as u64, pidfd_at, fourth, fifth]
        }
    };
    // No handler of ours may run in the child, which shares our memory.
    // SAFETY: sets of signals are plain data.
    let result = unsafe {
        let (mut all, mut before) = std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let result = raw(call, body, argument);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        result
    };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result as i32));
    }
    // SAFETY: the kernel made it for us.
    Ok(Child { pid: result as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// Waits until a child has exec'ed or ended, or for about so long.
pub(super) fn wait(busy: &AtomicU32, limit: Option<Duration>) {
    let since = Instant::now();
    while busy.load(Ordering::Acquire) != 0 && limit.is_none_or(|limit| since.elapsed() < limit) {
        // SAFETY: plain data.
        let mut timeout: libc::timespec = unsafe { std::mem::zeroed() };
        let timeout = match limit {
            Some(limit) => {
                timeout.tv_nsec = limit.subsec_nanos().into();
                &raw const timeout
            }
            None => ptr::null(),
        };
        // SAFETY: a valid word. The kernel wakes who waits for it, among all processes, not among threads of one only.
        let slept = unsafe { libc::syscall(libc::SYS_futex, busy, libc::FUTEX_WAIT, 1, timeout) };
        // It was set meanwhile, or a signal came: look again.
        let _ = checked(slept);
    }
}

/// A system call – its number and first five arguments – that clones. The child continues on its own stack and calls `body`
/// right there: it must not return into our frames.
#[cfg(target_arch = "x86_64")]
unsafe fn raw(call: [u64; 6], body: Body, argument: *mut c_void) -> i64 {
    let [number, first, second, third, fourth, fifth] = call;
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
            in("r10") fourth,
            in("r8") fifth,
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
unsafe fn raw(call: [u64; 6], body: Body, argument: *mut c_void) -> i64 {
    let [number, first, second, third, fourth, fifth] = call;
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
            in("x3") fourth,
            in("x4") fifth,
            in("x20") body,
            in("x21") argument,
        );
    }
    result
}
