//! What the child does between clone and exec. System calls only: it runs in its parent's memory.

use super::PROGRESS_FD;
use super::failure::Stage;
use std::ffi::{c_char, c_void};

/// Everything prepared by the parent.
pub(super) struct Plan {
    pub(super) dir: *const c_char,
    pub(super) files: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) script: *mut *const c_char,
    pub(super) env: *const *const c_char,
    pub(super) first_slot: i32,
    /// An open `cgroup.procs` to join by writing, or −1.
    pub(super) procs: i32,
    pub(super) descriptors: *const libc::rlimit,
    /// Of core files.
    pub(super) core: *const libc::rlimit,
    /// Whom it becomes.
    pub(super) user: Option<Ids>,
    /// Written when the child gives up.
    pub(super) failed: Option<(Stage, i32)>,
}

/// A user, as the kernel takes it.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) count: usize,
}

/// The highest signal number; 64 on all Linux ports but MIPS.
const SIGNALS: i32 = 64;
/// The kernel's size of a set of signals.
const SIGSET_BYTES: usize = 8;

/// Becomes the program, or writes why not and ends.
pub(super) extern "C" fn run(plan: *mut c_void) -> ! {
    // SAFETY: the parent is suspended and hands over a valid plan.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: as required.
    let failed = unsafe { become_program(plan) };
    // SAFETY: the parent reads it after we ended.
    unsafe { std::ptr::write_volatile(&raw mut plan.failed, Some(failed)) };
    end(std::ptr::null_mut())
}

/// Ends at once.
pub(super) extern "C" fn end(_: *mut c_void) -> ! {
    // SAFETY: ends the process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

fn errno() -> i32 {
    // SAFETY: the parent's thread-local, which is suspended.
    unsafe { *libc::__errno_location() }
}

/// Returns only what failed.
unsafe fn become_program(plan: &mut Plan) -> (Stage, i32) {
    // SAFETY: plain system calls on values that the parent prepared.
    unsafe {
        if plan.procs >= 0 && libc::write(plan.procs, c"0".as_ptr().cast(), 1) != 1 {
            return (Stage::Tree, errno());
        }
        let above = plan.first_slot + super::clone::SLOTS as i32;
        // From here on the descriptor table is our own, and short.
        if libc::syscall(libc::SYS_close_range, above, u32::MAX, libc::CLOSE_RANGE_UNSHARE) == -1 {
            return (Stage::Descriptors, errno());
        }
        for (slot, fd) in (plan.first_slot..).zip(0..=PROGRESS_FD) {
            if libc::dup2(slot, fd) == -1 {
                return (Stage::Descriptors, errno());
            }
        }
        libc::syscall(libc::SYS_close_range, PROGRESS_FD + 1, u32::MAX, 0);
        libc::setsid();
        libc::setrlimit(libc::RLIMIT_NOFILE, plan.descriptors);
        libc::setrlimit(libc::RLIMIT_CORE, plan.core);
        if let Some(user) = plan.user
            && !become_user(user)
        {
            return (Stage::User, errno());
        }
        // As that user: it must not get by us to where it couldn't go itself.
        if libc::chdir(plan.dir) == -1 {
            return (Stage::Directory, errno());
        }
        // Ignored signals would stay ignored (Rust ignores SIGPIPE), and a handler must not run once they are unblocked.
        let default = [0_u64; 4];
        for signal in 1..=SIGNALS {
            libc::syscall(libc::SYS_rt_sigaction, signal, &raw const default, 0, SIGSET_BYTES);
        }
        let none = 0_u64;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, SIGSET_BYTES);
        (Stage::Program, exec(plan))
    }
}

/// Gives up all rights but this user's, for good. The system calls themselves: the C library's functions would tell our
/// parent's other threads to do the same. The kernel sees to it that nobody of that user gets at the memory we still share
/// with our parent.
unsafe fn become_user(user: Ids) -> bool {
    let Ids { uid, gid, groups, count } = user;
    // SAFETY: as many groups as are said; the other calls touch no memory.
    unsafe {
        libc::syscall(libc::SYS_setgroups, count, groups) != -1
            && libc::syscall(libc::SYS_setresgid, gid, gid, gid) != -1
            && libc::syscall(libc::SYS_setresuid, uid, uid, uid) != -1
            && libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) != -1
    }
}

/// As execvp does it: the first file that can be loaded; a script without `#!` goes to the shell.
unsafe fn exec(plan: &mut Plan) -> i32 {
    let mut seen = libc::ENOENT;
    // SAFETY: null-terminated arrays of C strings.
    unsafe {
        let mut file = plan.files;
        let only = (*file).is_null() || (*file.add(1)).is_null();
        while !(*file).is_null() {
            libc::execve(*file, plan.argv, plan.env);
            match errno() {
                libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ESTALE | libc::ETIMEDOUT => {}
                // In a directory of `PATH` that we may not enter, it is not known to be there.
                libc::EACCES if only || libc::access(*file, libc::F_OK) == 0 => seen = libc::EACCES,
                libc::EACCES => {}
                libc::ENOEXEC => {
                    *plan.script.add(1) = *file;
                    libc::execve(*plan.script, plan.script.cast_const(), plan.env);
                    return errno();
                }
                other => return other,
            }
            file = file.add(1);
        }
    }
    seen
}
