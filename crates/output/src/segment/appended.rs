//! The file of the segment that is appended to. Much at once goes past the page cache: copying it in there is most of what
//! storing it costs, and it would push out what others read.
//!
//! Must never sync by itself, nor rely on its own writes being durable before somebody did.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What the place in the file, the place in memory and the length of a write past the page cache are multiples of: what
/// disks ask for is this or less.
const BLOCK: usize = 4096;

/// Blocks of fewer bytes than this go through the page cache: for them the disk's answer is what takes long, not the copy.
const DIRECT_FROM: usize = 256 * 1024;

/// The file, for writing.
pub(super) struct Appended {
    file: File,
    /// The same, past the page cache. `None`: this file system doesn't do that.
    direct: Option<File>,
}

impl Appended {
    /// Takes the open file at `path`.
    pub(super) fn new(file: File, path: &Path) -> Self {
        // Where there is no such thing, opening says so (EINVAL). Whatever else is wrong, the other descriptor will say.
        let direct = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path).ok();
        Self { file, direct }
    }

    /// Writes all of it. `cached`: it is going to be read soon.
    pub(super) fn write(&mut self, piece: &Piece, cached: bool) -> io::Result<()> {
        let (head, blocks, tail) = piece.parts();
        if !cached && blocks.len() >= DIRECT_FROM && self.direct.is_some() {
            // In this order each write extends the file: a block written into a hole would have to be marked as written.
            self.file.write_all_at(head, piece.at)?;
            if self.write_direct(blocks, piece.at + head.len() as u64)? {
                return self.file.write_all_at(tail, piece.at + (head.len() + blocks.len()) as u64);
            }
        }
        self.file.write_all_at(piece.bytes(), piece.at)
    }

    /// False if this file system can't, or not with such blocks.
    fn write_direct(&mut self, blocks: &[u8], at: u64) -> io::Result<bool> {
        let Some(direct) = &self.direct else { return Ok(false) };
        match direct.write_all_at(blocks, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.direct = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// For what is written now and then: a footer.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// Bytes for one place in a file. What is at a multiple of [`BLOCK`] there is so in memory.
pub(super) struct Piece {
    at: u64,
    memory: Vec<u8>,
    /// Where the bytes begin.
    begin: usize,
}

impl Piece {
    /// For this many bytes at this place.
    pub(super) fn new(at: u64, bytes: usize) -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(bytes + 2 * BLOCK);
        // The capacity is never exceeded, so the memory stays where it is. If it didn't, or where no offset can be told, the
        // kernel would refuse it (EINVAL).
        let aligned = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        let begin = aligned + (at % BLOCK as u64) as usize;
        memory.resize(begin, 0);
        Self { at, memory, begin }
    }

    /// Adds bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }

    /// All bytes so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..]
    }

    /// What comes before the first whole block, the whole blocks, and what comes after.
    fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let bytes = self.bytes();
        let head = (self.at.next_multiple_of(BLOCK as u64) - self.at) as usize;
        let (head, rest) = bytes.split_at(head.min(bytes.len()));
        let (blocks, tail) = rest.split_at(rest.len() - rest.len() % BLOCK);
        (head, blocks, tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{SegmentStore, record};
    use crate::{Output as _, Place, Placed};
    use domain::{AttemptId, AttemptNo, Frame, StreamName, TaskId, UnixMillis};
    use proptest::prelude::*;
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    use std::{fs, io::IoSliceMut};
    use tempfile::TempDir;

    /// Larger than what goes past the cache, at no multiple of anything.
    const LARGE: usize = DIRECT_FROM + 3 * BLOCK + 77;

    fn piece(at: u64, bytes: &[u8]) -> Piece {
        let mut piece = Piece::new(at, bytes.len());
        piece.put(bytes);
        piece
    }

    fn noise(seed: usize, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|n| ((n + seed) * 31 % 251) as u8).collect()
    }

    fn create(path: &Path) -> Appended {
        Appended::new(File::create_new(path).unwrap(), path)
    }

    /// Whether the kernel has these bytes in its cache.
    fn is_cached(path: &Path, at: u64) -> bool {
        let mut byte = [0];
        let file = File::open(path).unwrap();
        match preadv2(&file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT) {
            Ok(n) => n == 1,
            Err(Errno::AGAIN) => false,
            Err(error) => panic!("cannot ask: {error}"),
        }
    }

    /// A directory beside this program: the one for temporary files may be in memory, where all is cache.
    fn on_disk() -> TempDir {
        tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap()
    }

    fn frame(number: u64, bytes: usize) -> Placed {
        let attempt = AttemptId { task: TaskId::from_parts(1, 0, 0, 0), no: AttemptNo::FIRST };
        let (offset, data) = ((number - 1) * LARGE as u64, noise(number as usize, bytes).into());
        let frame = Frame { attempt, number, stream: StreamName::Stdout, offset, at: UnixMillis(9), data, dropped: 0 };
        Placed { after: 1, in_story: true, frame }
    }

    #[test]
    fn what_is_large_goes_past_the_cache_unless_somebody_reads_along() {
        let dir = on_disk();
        let mut store = SegmentStore::open(dir.path()).unwrap();
        assert!(store.open.file.direct.is_some(), "the disk of the target directory has no writes past the cache");
        let file = dir.path().join("1.seg");
        let begin = |number: u64| (number - 1) * (record::HEADER + LARGE) as u64;
        store.append(&[frame(1, LARGE)]).unwrap();
        assert!(!is_cached(&file, begin(1) + LARGE as u64 / 2), "nobody reads");
        assert_eq!(store.reader().read(Place { segment: 1, offset: 0 }).unwrap(), frame(1, LARGE));
        store.append(&[frame(2, LARGE)]).unwrap();
        assert!(is_cached(&file, begin(2) + LARGE as u64 / 2), "somebody reads along");
        store.append(&[frame(3, LARGE)]).unwrap();
        assert!(!is_cached(&file, begin(3) + LARGE as u64 / 2), "nobody does any more");
        store.append(&[frame(4, 2 * BLOCK)]).unwrap();
        assert!(is_cached(&file, begin(4) + BLOCK as u64), "a small one");
    }

    /// Two appends at one place: the second takes over what a failed one left, cached or not.
    #[test]
    fn what_was_written_before_is_written_over_even_if_somebody_read_it() {
        let dir = on_disk();
        let path = dir.path().join("1.seg");
        let mut file = create(&path);
        for (seed, cached) in [(1, true), (2, false), (3, false), (4, true), (5, false)] {
            let bytes = noise(seed, LARGE);
            file.write(&piece(100, &bytes), cached).unwrap();
            assert_eq!(fs::read(&path).unwrap()[100..], bytes, "{seed}");
        }
    }

    #[test]
    fn blocks_that_the_disk_refuses_go_through_the_cache_from_then_on() {
        let dir = on_disk();
        let (path, bytes) = (dir.path().join("1.seg"), noise(0, LARGE));
        let mut file = create(&path);
        // Off by one in memory alone.
        let mut crooked = piece(1, &bytes);
        crooked.at = 0;
        assert_ne!(crooked.parts().1.as_ptr().align_offset(BLOCK), 0);
        file.write(&crooked, false).unwrap();
        assert!(file.direct.is_none());
        file.write(&piece(LARGE as u64, &bytes), false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [&bytes[..], &bytes].concat());
    }

    proptest! {
        #[test]
        fn blocks_are_whole_ones_in_the_file_and_in_memory(at in 0_u64..20_000, bytes in 0_usize..40_000) {
            let bytes = noise(7, bytes);
            let piece = piece(at, &bytes);
            let (head, blocks, tail) = piece.parts();
            prop_assert_eq!([head, blocks, tail].concat(), bytes);
            prop_assert!(head.len() < BLOCK && tail.len() < BLOCK);
            prop_assert_eq!(blocks.len() % BLOCK, 0);
            prop_assert!(blocks.is_empty() || (at + head.len() as u64).is_multiple_of(BLOCK as u64));
            prop_assert!(blocks.is_empty() || blocks.as_ptr().align_offset(BLOCK) == 0);
        }
    }
}
