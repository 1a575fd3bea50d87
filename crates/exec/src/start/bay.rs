//! A bay: what one start needs until its program is loaded, and nobody else may touch meanwhile.

use super::Child;
use super::child::{self, Plan};
use super::clone::{self, Call};
use super::failure::Failure;
use super::prepared::Prepared;
use crate::checked;
use std::{
    ffi::c_void,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// stdin, stdout, stderr, progress.
pub(super) const SLOTS: usize = 4;
/// The lowest slot of all: above what the child dups them to.
const FIRST_SLOT: i32 = 10;
/// The child's stack: it needs a few hundred bytes.
pub(super) const STACK_BYTES: usize = 64 * 1024;

/// Descriptors at fixed low numbers, a stack, and whoever uses them now.
#[derive(Debug)]
pub(super) struct Bay {
    /// Consecutive, on /dev/null between starts.
    slots: [OwnedFd; SLOTS],
    stack: Stack,
    flight: Option<Flight>,
}

/// A child's stack.
#[derive(Debug)]
pub(super) struct Stack(pub(super) *mut c_void);

/// A child that is neither known to have become its program nor to have ended.
#[derive(Debug)]
struct Flight {
    number: u64,
    shared: *mut Shared,
}

/// What the child reads and writes while we run. On the heap, and not moved.
#[derive(Debug)]
struct Shared {
    /// Not 0 until the kernel has seen the child exec or end: from then on it touches nothing of ours.
    busy: AtomicU32,
    plan: Plan,
    /// All that the plan points to.
    prepared: Prepared,
}

// SAFETY: it is only an address; a bay is used by one thread at a time.
unsafe impl Send for Stack {}
// SAFETY: as above. What the child does with it doesn't depend on our thread.
unsafe impl Send for Flight {}

impl Stack {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping.
        let stack = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
            libc::mmap(ptr::null_mut(), STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if stack == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self(stack)) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length; no child runs on it any more.
        unsafe { libc::munmap(self.0, STACK_BYTES) };
    }
}

impl Drop for Bay {
    fn drop(&mut self) {
        self.wait(None);
        drop(self.flight.take().map(Flight::end));
    }
}

impl Bay {
    /// Takes descriptors, all at `null`, and a stack.
    pub(super) fn new(null: &OwnedFd) -> io::Result<Self> {
        Ok(Self { slots: slots(null)?, stack: Stack::new()?, flight: None })
    }

    pub(super) fn is_free(&self) -> bool {
        self.flight.is_none()
    }

    /// The number of the start that is under way here.
    pub(super) fn number(&self) -> Option<u64> {
        self.flight.as_ref().map(|flight| flight.number)
    }

    pub(super) fn first_slot(&self) -> RawFd {
        self.slots.first().map_or(FIRST_SLOT, AsRawFd::as_raw_fd)
    }

    /// Puts the child's ends where it will find them.
    pub(super) fn fill(&self, ends: [&OwnedFd; SLOTS]) -> io::Result<()> {
        ends.into_iter().zip(&self.slots).try_for_each(|(end, slot)| dup_over(end, slot))
    }

    /// Lets go of the child's ends.
    pub(super) fn empty(&self, null: &OwnedFd) {
        for slot in &self.slots {
            // Cannot fail: both are open, and nothing is allocated.
            let _ = dup_over(null, slot);
        }
    }

    /// Clones a child that follows the plan. The bay is its own until [`Bay::land`] says how it went.
    pub(super) fn launch(
        &mut self,
        number: u64,
        plan: Plan,
        prepared: Prepared,
        leaf: Option<RawFd>,
    ) -> io::Result<Child> {
        let shared = Box::into_raw(Box::new(Shared { busy: AtomicU32::new(1), plan, prepared }));
        let flight = Flight { number, shared };
        // SAFETY: just made.
        let (busy, plan) = unsafe { (&raw const (*shared).busy, &raw mut (*shared).plan) };
        let argument = plan.cast();
        let clone = |call| {
            // SAFETY: the stack and all that the plan points to live until the child has exec'ed or ended, which `land` and
            // `drop` wait for; `run` only makes system calls.
            unsafe { clone::clone(&self.stack, call, busy, child::run, argument) }
        };
        let mut cloned = clone(Call::Newer(leaf));
        if leaf.is_none() && cloned.as_ref().is_err_and(|e| e.raw_os_error() == Some(libc::ENOSYS)) {
            // SAFETY: there is no child yet.
            unsafe { (*plan).signals = u64::MAX };
            cloned = clone(Call::Older);
        }
        match cloned {
            Ok(_) => self.flight = Some(flight),
            Err(_) => drop(flight.end()),
        }
        cloned
    }

    /// How the start went that is under way here; `None` while that isn't known. Then the bay is free, and holds the child's
    /// ends no longer: otherwise its pipes would never end.
    pub(super) fn land(&mut self, null: &OwnedFd) -> Option<Result<(), Failure>> {
        let flight = self.flight.take_if(|flight| !flight.is_busy())?;
        self.empty(null);
        Some(flight.end())
    }

    /// Waits until that is known, or for about so long.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        if let Some(flight) = &self.flight {
            // SAFETY: it lives until `Flight::end`.
            clone::wait(unsafe { &*flight.word() }, limit);
        }
    }
}

impl Flight {
    fn word(&self) -> *const AtomicU32 {
        // SAFETY: it lives until `end`.
        unsafe { &raw const (*self.shared).busy }
    }

    fn is_busy(&self) -> bool {
        // SAFETY: it lives until `end`.
        unsafe { (*self.word()).load(Ordering::Acquire) != 0 }
    }

    /// How it went. Only when it isn't busy, or was never launched.
    fn end(self) -> Result<(), Failure> {
        // SAFETY: made by a box, and used by nobody else any more.
        let shared = unsafe { Box::from_raw(self.shared) };
        let Shared { busy: _, plan, prepared } = *shared;
        plan.failed.map_or(Ok(()), |(stage, errno)| Err(prepared.failure(stage, errno)))
    }
}

/// A bay's descriptors.
fn slots(null: &OwnedFd) -> io::Result<[OwnedFd; SLOTS]> {
    let mut held = Vec::new();
    // Others may hold some in between: go on until there are enough in a row.
    loop {
        // SAFETY: duplicates a valid descriptor; the result is ours.
        let fd = unsafe { checked(libc::fcntl(null.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_SLOT).into())? };
        // SAFETY: just made.
        held.push(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
        let run: Vec<RawFd> = held.iter().rev().take(SLOTS).map(AsRawFd::as_raw_fd).collect();
        if run.len() == SLOTS && run.windows(2).all(|w| matches!(w, [high, low] if *high == *low + 1)) {
            let tail = held.split_off(held.len() - SLOTS);
            if let Ok(slots) = <[OwnedFd; SLOTS]>::try_from(tail) {
                return Ok(slots);
            }
        }
    }
}

fn dup_over(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    // SAFETY: both are open and ours; what `to` was is closed, and its number stays ours.
    checked(unsafe { libc::dup3(from.as_raw_fd(), to.as_raw_fd(), libc::O_CLOEXEC) }.into()).map(|_| ())
}
