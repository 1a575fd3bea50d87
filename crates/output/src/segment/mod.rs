//! Output in append-only files that many attempts share, so that 100,000 small outputs don't make 100,000 files.
//!
//! A segment is a run of records; once it has 64 MiB it is sealed with a sorted footer and the next one begins. Records
//! become visible, and may be acknowledged, only after the sync. Must never rewrite what was synced.

mod appended;
mod expire;
mod footer;
mod index;
mod reader;
mod record;
mod recover;
mod scan;
#[cfg(test)]
mod tests;
mod version;

use crate::{Output, OutputReader, Placed};
use appended::{Appended, Piece};
use domain::{AttemptId, Totals};
use footer::Line;
use index::Gap;
use reader::Shared;
use record::Header;
use recover::Recovery;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, sync::Arc};

/// Bytes after which a segment is sealed: retention drops whole segments, and a start scans at most one.
pub const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;

/// Time after which a segment is sealed by the next append: otherwise, with little output, one task that is kept would keep
/// that of months.
const SEGMENT_AGE: Duration = Duration::from_secs(3_600);

/// The writing side.
pub struct SegmentStore {
    dir: PathBuf,
    segment_bytes: u32,
    shared: Arc<Shared>,
    open: Segment,
}

/// The segment that is appended to.
struct Segment {
    number: u64,
    file: Appended,
    /// Bytes that are durable. Writing goes on from here, over whatever a failed append left.
    end: u32,
    /// Its frames, for its footer.
    lines: Vec<Line>,
    /// Since when it is appended to; after a restart, since then.
    since: Instant,
}

impl SegmentStore {
    /// Opens or creates the store in this directory, which nobody else may use. A torn end is cut off and logged.
    ///
    /// # Errors
    /// I/O; `InvalidData` if a durable record cannot be read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::with_segments_of(dir, SEGMENT_BYTES)
    }

    /// As [`SegmentStore::open`], with segments of another size: small ones, to try what happens beyond one.
    ///
    /// # Errors
    /// As there.
    pub fn with_segments_of(dir: &Path, segment_bytes: u32) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let numbers = segments(dir)?;
        let last = numbers.last().copied();
        let mut recovery = Recovery::default();
        let mut open = None;
        for number in numbers {
            open = recovery.segment(dir, number, Some(number) == last)?;
        }
        let open = match open {
            Some(segment) => segment,
            None => create(dir, last.map_or(1, |number| number + 1))?,
        };
        let shared = Shared::new(dir, recovery.index, open.number);
        shared.opened(open.lines.iter().map(|line| line.attempt.task));
        Ok(Self { dir: dir.to_owned(), segment_bytes, shared, open })
    }

    /// A reader on the same data: sees what has been synced.
    pub fn reader(&self) -> Arc<dyn OutputReader> {
        self.shared.clone()
    }

    /// Seals the open segment and begins the next. Failing half-way, it can be called again.
    fn roll(&mut self) -> io::Result<()> {
        let footer = footer::encode(self.open.lines.clone());
        let file = self.open.file.file();
        file.write_all_at(&footer, u64::from(self.open.end))?;
        file.set_len(u64::from(self.open.end) + footer.len() as u64)?;
        file.sync_data()?;
        self.open = create(&self.dir, self.open.number + 1)?;
        self.shared.begin(self.open.number);
        Ok(())
    }

    /// Those of the frames that are new, each following the ones before it.
    fn new_frames<'a>(&self, frames: &'a [Placed]) -> io::Result<Vec<&'a Placed>> {
        let mut reached: BTreeMap<AttemptId, u64> = BTreeMap::new();
        let index = self.shared.index();
        let mut new = Vec::with_capacity(frames.len());
        for placed in frames {
            let (attempt, number) = (placed.frame.attempt, placed.frame.number);
            let reached = reached.entry(attempt).or_insert_with(|| index.totals(attempt).frames);
            if number > *reached + 1 {
                return Err(gap(&Gap { attempt, number, expected: *reached + 1 }));
            }
            if number == *reached + 1 {
                *reached = number;
                new.push(placed);
            }
        }
        Ok(new)
    }
}

impl Output for SegmentStore {
    fn append(&mut self, frames: &[Placed]) -> io::Result<()> {
        let new = self.new_frames(frames)?;
        if new.is_empty() {
            return Ok(());
        }
        if self.open.end >= self.segment_bytes || self.open.end > 0 && self.open.since.elapsed() >= SEGMENT_AGE {
            self.roll()?;
        }
        let start = self.open.end;
        let bytes: usize = new.iter().map(|placed| record::HEADER + placed.frame.data.len()).sum();
        let (mut piece, mut lines) = (Piece::new(u64::from(start), bytes), Vec::with_capacity(new.len()));
        for placed in new {
            let at = u32::try_from(piece.bytes().len()).ok().and_then(|n| start.checked_add(n));
            let header = Header::of(placed, start)?;
            lines.push(Line::of(&header, at.ok_or(io::ErrorKind::InvalidInput)?));
            piece.put(&header.encode());
            piece.put(&placed.frame.data);
        }
        let end = u32::try_from(piece.bytes().len()).ok().and_then(|n| start.checked_add(n));
        let end = end.ok_or(io::ErrorKind::InvalidInput)?;
        self.open.file.write(&piece, self.shared.was_read())?;
        self.open.file.file().sync_data()?;
        self.open.end = end;
        let mut index = self.shared.index_mut();
        for line in &lines {
            index.add(self.open.number, line).map_err(|found| gap(&found))?;
        }
        drop(index);
        self.shared.opened(lines.iter().map(|line| line.attempt.task));
        self.open.lines.append(&mut lines);
        Ok(())
    }

    fn totals(&self, attempt: AttemptId) -> Totals {
        self.shared.index().totals(attempt)
    }

    fn expire(&mut self, segments: &[u64]) -> io::Result<()> {
        let open = self.open.number;
        segments.iter().filter(|number| **number < open).try_for_each(|number| self.shared.delete(*number))?;
        if segments.contains(&open) && self.open.end > 0 { self.roll() } else { Ok(()) }
    }
}

fn create(dir: &Path, number: u64) -> io::Result<Segment> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path(dir, number))?;
    // The name must be durable before anything in the file is acknowledged.
    File::open(dir)?.sync_all()?;
    let file = Appended::new(file, &path(dir, number));
    Ok(Segment { number, file, end: 0, lines: Vec::new(), since: Instant::now() })
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number}.seg"))
}

/// Numbers of the segments in a directory, in order.
fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn gap(gap: &Gap) -> io::Error {
    let Gap { attempt, number, expected } = gap;
    let text = format!(
        "output of task {} attempt {}: frame {number} where {expected} should follow",
        attempt.task, attempt.no
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}
