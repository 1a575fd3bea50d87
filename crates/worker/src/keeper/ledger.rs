//! How much the keeper has read from which pipe: in memory that its worker shares, so that it can be asked when the
//! keeper is dead. Without it nobody could tell whether what is left in a pipe follows what arrived, or whether the
//! keeper died with something in its hands; output with a silent hole in it would be wrong.

use domain::StreamName;
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    os::unix::fs::FileExt,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// Attempts that it has room for: more than slots. Those beyond are not written down.
const SLOTS: u32 = 16 * 1024;
/// Numbers of a slot: bytes of stdout, bytes of stderr, and which of them is being read.
const NUMBERS: usize = 3;
const READING: usize = 2;
const BYTES: usize = SLOTS as usize * NUMBERS * size_of::<u64>();

/// The keeper's side.
pub(super) struct Ledger {
    file: File,
    numbers: NonNull<AtomicU64>,
    free: Vec<u32>,
    next: u32,
}

/// What a dead keeper had read of one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Read {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    /// It died while it read this one, so that up to a frame more may be gone.
    pub(super) unsure: Option<StreamName>,
}

fn index(stream: StreamName) -> usize {
    match stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    }
}

impl Ledger {
    /// An empty one, in memory.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a valid name; the result is ours. The mapping is checked, shared and never unmapped.
        unsafe {
            let fd = libc::memfd_create(c"ledger".as_ptr(), libc::MFD_CLOEXEC);
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            let file = File::from_raw_fd(fd);
            // Now, or a machine without memory would end us by SIGBUS later.
            let failed = libc::posix_fallocate(fd, 0, BYTES as libc::off_t);
            if failed != 0 {
                return Err(io::Error::from_raw_os_error(failed));
            }
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let map = libc::mmap(std::ptr::null_mut(), BYTES, rights, libc::MAP_SHARED, file.as_raw_fd(), 0);
            match NonNull::new(map.cast::<AtomicU64>()).filter(|_| map != libc::MAP_FAILED) {
                Some(numbers) => Ok(Self { file, numbers, free: Vec::new(), next: 0 }),
                None => Err(io::Error::last_os_error()),
            }
        }
    }

    /// For the worker.
    pub(super) fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    fn number(&self, slot: u32, number: usize) -> &AtomicU64 {
        let at = slot.min(SLOTS - 1) as usize * NUMBERS + number % NUMBERS;
        // SAFETY: within the mapping, which lives as long as this process; all access is atomic.
        unsafe { self.numbers.add(at).as_ref() }
    }

    /// A slot for an attempt of which so much has been read.
    pub(super) fn take(&mut self, stdout: u64, stderr: u64) -> Option<u32> {
        let slot = self.free.pop().or_else(|| {
            self.next += u32::from(self.next < SLOTS);
            (self.next < SLOTS).then_some(self.next - 1)
        })?;
        for (number, value) in [stdout, stderr, 0].into_iter().enumerate() {
            self.number(slot, number).store(value, Ordering::Release);
        }
        Some(slot)
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// A pipe is about to be read.
    pub(super) fn begin(&self, slot: u32, stream: StreamName) {
        self.number(slot, READING).store(1 + index(stream) as u64, Ordering::SeqCst);
    }

    /// So many bytes were read of it.
    pub(super) fn done(&self, slot: u32, stream: StreamName, bytes: u64) {
        self.number(slot, index(stream)).fetch_add(bytes, Ordering::SeqCst);
        self.number(slot, READING).store(0, Ordering::SeqCst);
    }
}

/// The worker's side: what the keeper wrote into a slot.
pub(super) fn read(shared: &File, slot: u32) -> io::Result<Read> {
    const LENGTH: usize = NUMBERS * size_of::<u64>();
    let mut bytes = [0; LENGTH];
    shared.read_exact_at(&mut bytes, u64::from(slot) * LENGTH as u64)?;
    let mut numbers = bytes.chunks_exact(size_of::<u64>()).map(|n| n.try_into().map_or(0, u64::from_ne_bytes));
    let mut next = || numbers.next().unwrap_or(0);
    let (stdout, stderr, reading) = (next(), next(), next());
    let unsure = [StreamName::Stdout, StreamName::Stderr].into_iter().find(|s| reading == 1 + index(*s) as u64);
    Ok(Read { stdout, stderr, unsure })
}

#[cfg(test)]
mod tests {
    use super::*;
    use StreamName::{Stderr, Stdout};

    #[test]
    fn what_is_written_down_is_read_through_the_shared_descriptor() {
        let mut ledger = Ledger::new().expect("memory");
        let shared = File::from(ledger.share().expect("a copy"));
        let (one, two) = (ledger.take(5, 6).expect("a slot"), ledger.take(0, 0).expect("a slot"));
        ledger.begin(two, Stderr);
        ledger.done(two, Stderr, 7);
        ledger.begin(one, Stdout);
        assert_eq!(read(&shared, one).expect("read"), Read { stdout: 5, stderr: 6, unsure: Some(Stdout) });
        assert_eq!(read(&shared, two).expect("read"), Read { stdout: 0, stderr: 7, unsure: None });
        ledger.give_back(one);
        assert_eq!(ledger.take(1, 0), Some(one));
        assert_eq!(read(&shared, one).expect("read"), Read { stdout: 1, stderr: 0, unsure: None });
        let more = std::iter::from_fn(|| ledger.take(0, 0)).count();
        assert!(more < SLOTS as usize && ledger.take(0, 0).is_none(), "{more} more slots");
    }
}
