//! The reading side: the index under a lock held for look-ups only, bytes by `pread`.

use super::index::Index;
use super::record::{HEADER, Header};
use crate::{Entry, OutputReader, Place, Placed};
use domain::{AttemptId, FrameNo, StreamName, TaskId, Totals};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{io, sync::Arc};

/// What writer and readers share.
pub(super) struct Shared {
    dir: PathBuf,
    index: RwLock<Index>,
}

impl Shared {
    pub(super) fn new(dir: &Path, index: Index) -> Arc<Self> {
        Arc::new(Self { dir: dir.to_owned(), index: RwLock::new(index) })
    }

    pub(super) fn path(&self, segment: u64) -> PathBuf {
        super::path(&self.dir, segment)
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the writer alone, after its sync.
    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputReader for Shared {
    fn entries(&self, attempt: AttemptId, after: FrameNo, limit: usize) -> Vec<Entry> {
        self.index().entries(attempt, after, limit)
    }

    fn frame_at(&self, attempt: AttemptId, stream: StreamName, offset: u64) -> Option<Entry> {
        self.index().frame_at(attempt, stream, offset)
    }

    fn count(&self, attempt: AttemptId, after: u64) -> u64 {
        self.index().count(attempt, after)
    }

    fn totals(&self, attempt: AttemptId) -> Totals {
        self.index().totals(attempt)
    }

    fn read(&self, place: Place) -> io::Result<Placed> {
        let Place { segment, offset } = place;
        let damaged = || {
            let text = format!("output segment {segment} is damaged at byte {offset}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        // Opened for each frame: a cache of descriptors would save two microseconds of a 256 KiB read.
        let file = File::open(self.path(segment))?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, offset)?;
        let header = Header::decode(&header).ok_or_else(damaged)?;
        let mut data = vec![0; header.data_bytes as usize];
        file.read_exact_at(&mut data, offset + HEADER as u64)?;
        if !header.matches(&data) {
            return Err(damaged());
        }
        Ok(header.placed(data))
    }

    fn attempts(&self, task: TaskId) -> Vec<AttemptId> {
        self.index().attempts(task)
    }
}
