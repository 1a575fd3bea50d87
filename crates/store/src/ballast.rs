//! The ballast: a file that only takes up room. It is given up when a commit finds none, so that results and cancels can
//! still be stored on a full disk, and made again once there is room.
//!
//! Must never be given up for anything but a commit, and never be made again while that would leave no room.

use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, io::Write as _};

/// Its name in the data directory.
pub const FILE: &str = "ballast";
/// Written at once where the file system can't reserve room by itself.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Shared by the store, which gives it up, and by whoever looks after the disk, who makes it again.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
    bytes: u64,
    held: AtomicBool,
    given_up: AtomicBool,
}

impl Ballast {
    /// A ballast of so many bytes in this directory; 0: there is none, and what an earlier process left is removed. One of
    /// that size that is there already is held; otherwise it has to be made ([`Ballast::make`]).
    pub fn new(dir: &Path, bytes: u64) -> Self {
        let path = dir.join(FILE);
        let there = fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes && bytes > 0);
        if !there {
            // What can't be removed stays; it takes up room, which is what it is for.
            let _ = fs::remove_file(&path);
        }
        Self { path, bytes, held: AtomicBool::new(there), given_up: AtomicBool::new(false) }
    }

    /// Its size, held or not.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it can be given up.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Whether it was given up, and not made again since.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Gives its room up. False if it wasn't held, or can't be removed.
    pub fn give_up(&self) -> bool {
        self.is_held() && fs::remove_file(&self.path).is_ok() && {
            self.held.store(false, Ordering::Release);
            self.given_up.store(true, Ordering::Release);
            true
        }
    }

    /// Makes it, unless it is held or there shall be none.
    ///
    /// # Errors
    /// There is no room for it: then nothing is left of the attempt.
    pub fn make(&self) -> io::Result<()> {
        if self.bytes == 0 || self.is_held() {
            return Ok(());
        }
        let made = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path);
        let made = made.and_then(|file| fill(&file, self.bytes).and_then(|()| file.sync_all()));
        if made.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        made?;
        self.held.store(true, Ordering::Release);
        self.given_up.store(false, Ordering::Release);
        Ok(())
    }
}

/// Reserves room, by writing where nothing else helps.
fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    // Not zeros: file systems that compress would give them no room.
    let block: Vec<u8> = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).take(BLOCK_BYTES).collect();
    let mut left = bytes;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        file.write_all(&block[..n])?;
        left -= n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_up_room_until_it_is_given_up_and_can_be_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let size = || fs::metadata(dir.path().join(FILE)).map(|meta| meta.len()).ok();
        let ballast = Ballast::new(dir.path(), 4_096);
        assert_eq!((ballast.is_held(), ballast.give_up(), size()), (false, false, None));
        ballast.make().unwrap();
        assert_eq!((ballast.is_held(), size()), (true, Some(4_096)));
        assert!(Ballast::new(dir.path(), 4_096).is_held(), "the next process has it");
        assert_eq!((ballast.give_up(), ballast.give_up(), size()), (true, false, None));
        assert!(ballast.is_given_up());
        ballast.make().unwrap();
        assert!(!ballast.is_given_up());
        assert!(!Ballast::new(dir.path(), 8_192).is_held(), "another size is another ballast");
        assert_eq!(size(), None);
        let none = Ballast::new(dir.path(), 0);
        none.make().unwrap();
        assert_eq!((none.is_held(), size()), (false, None));
    }
}
