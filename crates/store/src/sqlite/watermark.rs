//! The watermark beside the database: which store this is, and the last epoch and commit that were acknowledged from it
//! (GUARANTEES G12).
//!
//! A WAL whose end is damaged loses commits without any error: the file beside it, written after each commit, says that
//! there were more. It is written without a sync of its own, which a killed process doesn't need, and synced with each
//! checkpoint. Must never say more than what was durable, and never be lowered but by an operator's acceptance.

use crate::Watermark;
use domain::{Commit, Epoch};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Its name in the data directory.
pub(super) const FILE: &str = "watermark";
const MAGIC: &[u8; 8] = b"BATONWM1";
const STORE_ID_BYTES: usize = 32;
/// Magic, store, epoch, commit, checksum.
const MARK: usize = 8 + STORE_ID_BYTES + 8 + 8 + 4;
/// Marks are written in turn to two places a sector apart: a torn write leaves the other one.
const APART: usize = 512;

/// The file, and what it says.
pub(super) struct Marks {
    file: File,
    turn: u64,
    pub(super) last: Option<Watermark>,
}

impl Marks {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let marks = [0, APART].into_iter().filter_map(|at| decode(bytes.get(at..)?));
        // Both may be of different stores only if somebody put one file over another: the later acceptance wrote both.
        let last = marks.max_by_key(|mark| (mark.epoch, mark.commit));
        Ok(Self { file, turn: 0, last })
    }

    /// Remembers what has been acknowledged; never less than before, neither of epochs nor of commits: a store that is
    /// behind goes on counting epochs.
    pub(super) fn remember(&mut self, mark: &Watermark) {
        let more = match &self.last {
            None => mark.clone(),
            Some(last) if last.store_id != mark.store_id => return,
            Some(last) if mark.epoch <= last.epoch && mark.commit <= last.commit => return,
            Some(last) => {
                let (epoch, commit) = (mark.epoch.max(last.epoch), mark.commit.max(last.commit));
                Watermark { store_id: mark.store_id.clone(), epoch, commit }
            }
        };
        self.write(&more, self.turn % 2);
        self.turn += 1;
    }

    /// Forgets what was before.
    pub(super) fn replace(&mut self, mark: &Watermark) {
        (0..2).for_each(|place| self.write(mark, place));
        self.sync();
    }

    fn write(&mut self, mark: &Watermark, place: u64) {
        // A mark that can't be written remembers less, and nothing else: the commit stands.
        let _ = self.file.write_all_at(&encode(mark), place * APART as u64);
        self.last = Some(mark.clone());
    }

    pub(super) fn sync(&self) {
        let _ = self.file.sync_data();
    }
}

fn encode(mark: &Watermark) -> [u8; MARK] {
    let Watermark { store_id, epoch, commit } = mark;
    let mut bytes = [0; MARK];
    let id = store_id.as_bytes();
    let n = id.len().min(STORE_ID_BYTES);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..8 + n].copy_from_slice(&id[..n]);
    bytes[40..48].copy_from_slice(&epoch.0.to_le_bytes());
    bytes[48..56].copy_from_slice(&commit.0.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..MARK - 4]);
    bytes[MARK - 4..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Watermark> {
    let (fields, sum) = bytes.get(..MARK)?.split_last_chunk::<4>()?;
    let good = fields.starts_with(MAGIC) && crc32fast::hash(fields) == u32::from_le_bytes(*sum);
    let number = |at: usize| Some(u64::from_le_bytes(fields.get(at..at + 8)?.try_into().ok()?));
    let id = std::str::from_utf8(fields.get(8..8 + STORE_ID_BYTES)?).ok()?.trim_end_matches('\0');
    let mark = Watermark { store_id: id.into(), epoch: Epoch(number(40)?), commit: Commit(number(48)?) };
    good.then_some(mark)
}

/// After a checkpoint: what a power cut can take of the marks is no more than what a log holds.
pub(super) fn sync(dir: &Path) {
    let _ = File::open(dir.join(FILE)).and_then(|file| file.sync_data());
}

/// What the file in this directory says, without touching it.
pub(super) fn read(dir: &Path) -> Option<Watermark> {
    let bytes = std::fs::read(dir.join(FILE)).ok()?;
    let marks = [0, APART].into_iter().filter_map(|at| decode(bytes.get(at..)?));
    marks.max_by_key(|mark| (mark.epoch, mark.commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: u64, commit: u64) -> Watermark {
        let store_id = "0123456789abcdef0123456789abcdef".into();
        Watermark { store_id, epoch: Epoch(epoch), commit: Commit(commit) }
    }

    #[test]
    fn the_highest_mark_survives_a_torn_one_and_is_never_lowered() {
        let dir = tempfile::tempdir().unwrap();
        let mut marks = Marks::open(dir.path()).unwrap();
        assert_eq!(marks.last, None);
        for n in 1..=5 {
            marks.remember(&mark(1, n));
        }
        marks.remember(&mark(1, 3));
        assert_eq!(read(dir.path()), Some(mark(1, 5)));
        // Torn: the one before it is still there.
        marks.file.write_all_at(b"torn", 0).unwrap();
        assert_eq!(Marks::open(dir.path()).unwrap().last, Some(mark(1, 4)));
        marks.remember(&mark(2, 1));
        assert_eq!(marks.last, Some(mark(2, 5)), "a new epoch of a store that is behind");
        let other = Watermark { store_id: "other".into(), ..mark(9, 9) };
        marks.remember(&other);
        assert_eq!(marks.last, Some(mark(2, 5)), "another store's is no news of this one");
        marks.replace(&other);
        assert_eq!(read(dir.path()), Some(other));
    }

    #[test]
    fn no_flipped_bit_makes_another_mark() {
        let bytes = encode(&mark(7, 1_000));
        assert_eq!(decode(&bytes), Some(mark(7, 1_000)));
        for bit in 0..MARK * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
    }
}
