//! Recovery: the index from what lies in the directory, once, when the store is opened.

use super::{Segment, appended::Appended, footer, footer::Line, gap, index::Index, path, scan, scan::Scan};
use domain::AttemptId;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;
use std::{io, path::Path};

/// What has been found so far, segment by segment in the order of their numbers.
#[derive(Default)]
pub(super) struct Recovery {
    pub index: Index,
    /// The last segment, 0 before the first.
    last: u64,
    /// A segment before the last one is gone: retention took it, with the beginnings of attempts whose task is deleted.
    holes: bool,
    /// Attempts that lack frames for that reason: nobody can ask for them.
    deleted: BTreeSet<AttemptId>,
}

impl Recovery {
    /// Indexes a segment. Returns it if it is the last and not sealed.
    pub(super) fn segment(&mut self, dir: &Path, number: u64, last: bool) -> io::Result<Option<Segment>> {
        self.holes |= number != self.last + 1;
        self.last = number;
        let name = path(dir, number).display().to_string();
        let file = OpenOptions::new().read(true).write(last).open(path(dir, number))?;
        let sealed = footer::read(&file)?;
        let is_sealed = sealed.is_some();
        let (mut lines, mut end) = (sealed.unwrap_or_default(), 0);
        if !is_sealed {
            let scan = scan::scan(&file, &name)?;
            if scan.rest > 0 && last {
                let bytes = scan.rest;
                tracing::warn!(segment = name, at = scan.end, bytes, "Output segment had a torn end, cut off");
                file.set_len(u64::from(scan.end))?;
                file.sync_data()?;
            } else if !last {
                still_whole(&file, &name, &scan)?;
                tracing::warn!(segment = name, "Output segment has no readable footer, was scanned");
            }
            if last && scan.proven < scan.end {
                sync_again(&file, scan.proven, scan.end)?;
            }
            (lines, end) = (scan.lines, scan.end);
        }
        for line in &lines {
            self.add(number, line)?;
        }
        Ok((last && !is_sealed).then(|| {
            let file = Appended::new(file, &path(dir, number));
            Segment { number, file, end, lines, since: Instant::now() }
        }))
    }

    fn add(&mut self, segment: u64, line: &Line) -> io::Result<()> {
        if self.deleted.contains(&line.attempt) {
            return Ok(());
        }
        match self.index.add(segment, line) {
            Ok(()) => Ok(()),
            Err(found) if self.holes => {
                self.index.forget(found.attempt);
                self.deleted.insert(found.attempt);
                Ok(())
            }
            Err(found) => Err(gap(&found)),
        }
    }
}

/// All of a sealed segment was durable, its footer too. So what can't be read of its end is that, or records are missing.
fn still_whole(file: &File, name: &str, scan: &Scan) -> io::Result<()> {
    let mut rest = vec![0; usize::try_from(scan.rest).map_err(|_| io::ErrorKind::InvalidData)?];
    file.read_exact_at(&mut rest, u64::from(scan.end))?;
    if footer::may_have_been(&rest, &scan.lines) {
        return Ok(());
    }
    let text =
        format!("output segment {name} is damaged from byte {} on: durable records there cannot be read", scan.end);
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Writes the last batch once more. It was read from the kernel's cache: had its sync failed, the cache would hold it as
/// written all the same, and another sync would do nothing. Now that it counts as durable, it has to be.
fn sync_again(file: &File, from: u32, to: u32) -> io::Result<()> {
    let mut bytes = vec![0; (to - from) as usize];
    file.read_exact_at(&mut bytes, u64::from(from))?;
    file.write_all_at(&bytes, u64::from(from))?;
    file.sync_data()
}
