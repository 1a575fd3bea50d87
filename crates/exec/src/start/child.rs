//! What the child does between clone and exec. System calls only, and not the C library's: it runs in its parent's memory,
//! while the parent runs.

use super::PROGRESS_FD;
use super::bay::SLOTS;
use super::failure::Stage;
use super::syscall::call;
use std::ffi::{c_char, c_void};

/// Everything prepared by the parent.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) dir: *const c_char,
    pub(super) files: *const *const c_char,
    pub(super) argv: *const *const c_char,
    /// `/bin/sh file arguments`, for a script without `#!`: the child sets the file.
    pub(super) script: *mut *const c_char,
    /// `/bin/sh -c line`, if the program is a line that was split without a shell: if it can't be started, a shell says so as
    /// it always did. Else null.
    pub(super) shell: *const *const c_char,
    pub(super) env: *const *const c_char,
    pub(super) first_slot: i32,
    /// An open `cgroup.procs` to join by writing, or −1.
    pub(super) procs: i32,
    pub(super) descriptors: libc::rlimit,
    /// Of core files.
    pub(super) core: libc::rlimit,
    /// Whom it becomes.
    pub(super) user: Option<Ids>,
    /// Signals to be set to what they do by default: bit 0 is signal 1.
    pub(super) signals: u64,
    /// Written when the child gives up.
    pub(super) failed: Option<(Stage, i32)>,
}

/// A user, as the kernel takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) count: usize,
}

/// The kernel's size of a set of signals.
pub(super) const SIGSET_BYTES: u64 = 8;
/// A signal's default action, as the kernel takes it.
static DEFAULT: [u64; 4] = [0; 4];

/// Becomes the program, or writes why not and ends.
pub(super) extern "C" fn run(plan: *mut c_void) -> ! {
    let plan = plan.cast::<Plan>();
    // SAFETY: the parent hands over a valid plan, and looks at it only when we have ended.
    unsafe {
        let failed = become_program(&*plan);
        std::ptr::write_volatile(&raw mut (*plan).failed, Some(failed));
    }
    end(std::ptr::null_mut())
}

/// Ends at once.
pub(super) extern "C" fn end(_: *mut c_void) -> ! {
    loop {
        // SAFETY: ends the process without running anything of the parent's.
        unsafe { call(libc::SYS_exit_group, [127, 0, 0, 0, 0]) };
    }
}

/// What a call returned, or the number of its error.
fn checked(result: i64) -> Result<i64, i32> {
    if result < 0 { Err(-result as i32) } else { Ok(result) }
}

/// Returns only what failed.
unsafe fn become_program(plan: &Plan) -> (Stage, i32) {
    // SAFETY: as required.
    match unsafe { settle_in(plan) } {
        Err(failed) => failed,
        // SAFETY: as required.
        Ok(()) => (Stage::Program, unsafe { load(plan) }),
    }
}

/// Takes on all that a process keeps when it becomes a program.
unsafe fn settle_in(plan: &Plan) -> Result<(), (Stage, i32)> {
    let at = |stage| move |errno| (stage, errno);
    let above = |fd: i32| u64::from((fd + 1).unsigned_abs());
    // SAFETY: plain system calls on values that the parent prepared.
    unsafe {
        if plan.procs >= 0 {
            let own = c"0".as_ptr() as u64;
            checked(call(libc::SYS_write, [plan.procs as u64, own, 1, 0, 0])).map_err(at(Stage::Tree))?;
        }
        let last = plan.first_slot + SLOTS as i32 - 1;
        let (all, unshare) = (u64::from(u32::MAX), u64::from(libc::CLOSE_RANGE_UNSHARE));
        // From here on the descriptor table is our own, and short.
        checked(call(libc::SYS_close_range, [above(last), all, unshare, 0, 0])).map_err(at(Stage::Descriptors))?;
        for (slot, fd) in (plan.first_slot..).zip(0..=PROGRESS_FD) {
            checked(call(libc::SYS_dup3, [slot as u64, fd as u64, 0, 0, 0])).map_err(at(Stage::Descriptors))?;
        }
        call(libc::SYS_close_range, [above(PROGRESS_FD), all, 0, 0, 0]);
        call(libc::SYS_setsid, [0; 5]);
        for (what, limit) in [(libc::RLIMIT_NOFILE, &plan.descriptors), (libc::RLIMIT_CORE, &plan.core)] {
            call(libc::SYS_prlimit64, [0, i64::from(what) as u64, (&raw const *limit) as u64, 0, 0]);
        }
        if let Some(user) = plan.user {
            become_user(user).map_err(at(Stage::User))?;
        }
        // As that user: it must not get by us to where it couldn't go itself.
        checked(call(libc::SYS_chdir, [plan.dir as u64, 0, 0, 0, 0])).map_err(at(Stage::Directory))?;
        // Ignored signals would stay ignored (Rust ignores SIGPIPE), and a handler must not run once they are unblocked.
        let mut left = plan.signals;
        while left != 0 {
            let signal = u64::from(left.trailing_zeros()) + 1;
            call(libc::SYS_rt_sigaction, [signal, (&raw const DEFAULT) as u64, 0, SIGSET_BYTES, 0]);
            left &= left - 1;
        }
        let none = 0_u64;
        call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as u64, (&raw const none) as u64, 0, SIGSET_BYTES, 0]);
    }
    Ok(())
}

/// Gives up all rights but this user's, for good. The kernel sees to it that nobody of that user gets at the memory we still
/// share with our parent.
unsafe fn become_user(user: Ids) -> Result<(), i32> {
    let Ids { uid, gid, groups, count } = user;
    let (uid, gid) = (u64::from(uid), u64::from(gid));
    // SAFETY: as many groups as are said; the other calls touch no memory.
    unsafe {
        checked(call(libc::SYS_setgroups, [count as u64, groups as u64, 0, 0, 0]))?;
        checked(call(libc::SYS_setresgid, [gid, gid, gid, 0, 0]))?;
        checked(call(libc::SYS_setresuid, [uid, uid, uid, 0, 0]))?;
        checked(call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0]))?;
    }
    Ok(())
}

/// Becomes the program or, if that can't be and its line is one for a shell, the shell. Returns why neither.
unsafe fn load(plan: &Plan) -> i32 {
    // SAFETY: null-terminated arrays of C strings.
    unsafe {
        let errno = exec(plan);
        if plan.shell.is_null() { errno } else { execve(*plan.shell, plan.shell, plan.env) }
    }
}

/// As execvp does it: the first file that can be loaded; a script without `#!` goes to the shell.
unsafe fn exec(plan: &Plan) -> i32 {
    let mut seen = libc::ENOENT;
    // SAFETY: null-terminated arrays of C strings.
    unsafe {
        let mut file = plan.files;
        let only = (*file).is_null() || (*file.add(1)).is_null();
        while !(*file).is_null() {
            match execve(*file, plan.argv, plan.env) {
                libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ESTALE | libc::ETIMEDOUT => {}
                // In a directory of `PATH` that we may not enter, it is not known to be there.
                libc::EACCES if only || exists(*file) => seen = libc::EACCES,
                libc::EACCES => {}
                libc::ENOEXEC => {
                    *plan.script.add(1) = *file;
                    return execve(*plan.script, plan.script.cast_const(), plan.env);
                }
                other => return other,
            }
            file = file.add(1);
        }
    }
    seen
}

/// Returns why not.
unsafe fn execve(file: *const c_char, argv: *const *const c_char, env: *const *const c_char) -> i32 {
    // SAFETY: as required.
    -(unsafe { call(libc::SYS_execve, [file as u64, argv as u64, env as u64, 0, 0]) }) as i32
}

unsafe fn exists(file: *const c_char) -> bool {
    // SAFETY: a C string.
    unsafe { call(libc::SYS_faccessat, [libc::AT_FDCWD as u64, file as u64, libc::F_OK as u64, 0, 0]) == 0 }
}
