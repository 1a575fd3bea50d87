//! Expiry: whole sealed segments, once all their tasks are gone. What a segment that stays holds of deleted tasks stays too.

use super::{footer, reader::Shared, scan, segments};
use domain::{AttemptId, TaskId};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::sync::atomic::Ordering;

impl Shared {
    /// Numbers of the sealed segments, oldest first.
    pub(super) fn sealed_segments(&self) -> io::Result<Vec<u64>> {
        let open = self.open.load(Ordering::Acquire);
        Ok(segments(&self.dir)?.into_iter().filter(|number| *number < open).collect())
    }

    /// The tasks of a sealed segment.
    pub(super) fn tasks_of(&self, segment: u64) -> io::Result<BTreeSet<TaskId>> {
        Ok(self.attempts_of(segment)?.into_iter().map(|attempt| attempt.task).collect())
    }

    /// Deletes a sealed segment. For the writer alone: it may not be about to add to what is forgotten here.
    pub(super) fn delete(&self, segment: u64) -> io::Result<()> {
        let attempts = match self.attempts_of(segment) {
            Ok(attempts) => attempts,
            // Deleted before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut index = self.index_mut();
        for attempt in attempts {
            index.forget(attempt);
        }
        drop(index);
        // A crash may bring the file back: then it is found again, and deleted again.
        fs::remove_file(self.path(segment))
    }

    fn attempts_of(&self, segment: u64) -> io::Result<BTreeSet<AttemptId>> {
        let path = self.path(segment);
        let file = File::open(&path)?;
        let lines = match footer::read(&file)? {
            Some(lines) => lines,
            None => scan::scan(&file, &path.display().to_string())?.lines,
        };
        Ok(lines.into_iter().map(|line| line.attempt).collect())
    }
}
