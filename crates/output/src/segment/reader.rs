//! The reading side: the index under a lock held for look-ups only, bytes by `pread`.

use super::index::Index;
use super::record::{HEADER, Header};
use super::version::Version;
use crate::{Entry, OutputReader, Place, Placed};
use domain::{AttemptId, FrameNo, StreamName, TaskId, Totals};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{io, sync::Arc};

/// What writer and readers share.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    index: RwLock<Index>,
    /// The segment that is appended to; those before it are sealed.
    pub(super) open: AtomicU64,
    /// Something in it was read since the last [`Shared::was_read`].
    read: AtomicBool,
    /// Those that have output in it.
    open_tasks: RwLock<BTreeSet<TaskId>>,
}

impl Shared {
    pub(super) fn new(dir: &Path, index: Index, open: u64) -> Arc<Self> {
        Arc::new(Self {
            dir: dir.to_owned(),
            index: RwLock::new(index),
            open: AtomicU64::new(open),
            read: AtomicBool::new(false),
            open_tasks: RwLock::default(),
        })
    }

    /// All segments before this one are sealed.
    pub(super) fn begin(&self, open: u64) {
        self.open_tasks.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.open.store(open, Ordering::Release);
    }

    /// These have output in the segment that is appended to.
    pub(super) fn opened(&self, tasks: impl Iterator<Item = TaskId>) {
        self.open_tasks.write().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }

    /// Whether anything of the segment that is appended to was read since this was last asked: then somebody follows, and
    /// will read what comes next.
    pub(super) fn was_read(&self) -> bool {
        self.read.swap(false, Ordering::Relaxed)
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
        if segment == self.open.load(Ordering::Acquire) {
            self.read.store(true, Ordering::Relaxed);
        }
        let damaged = || {
            let text = format!("output segment {segment} is damaged at byte {offset}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        // Opened for each frame: a cache of descriptors would save two microseconds of a 256 KiB read.
        let file = File::open(self.path(segment))?;
        let header = read_header(&file, offset)?.ok_or_else(damaged)?;
        let mut data = vec![0; header.data_bytes as usize];
        file.read_exact_at(&mut data, offset + header.data_at() as u64)?;
        if !header.matches(&data) {
            return Err(damaged());
        }
        Ok(header.placed(data))
    }

    fn attempts(&self, task: TaskId) -> Vec<AttemptId> {
        self.index().attempts(task)
    }

    fn sealed(&self) -> io::Result<Vec<u64>> {
        self.sealed_segments()
    }

    fn open(&self) -> (u64, BTreeSet<TaskId>) {
        let tasks = self.open_tasks.read().unwrap_or_else(PoisonError::into_inner);
        (self.open.load(Ordering::Acquire), tasks.clone())
    }

    fn tasks(&self, segment: u64) -> io::Result<BTreeSet<TaskId>> {
        self.tasks_of(segment)
    }
}

/// The header at this place. One of the older version is shorter, and may end with its file.
fn read_header(file: &File, offset: u64) -> io::Result<Option<Header>> {
    const SHORTEST: usize = Version::One.header();
    let mut bytes = [0; HEADER];
    let (start, rest) = bytes.split_at_mut(SHORTEST);
    file.read_exact_at(start, offset)?;
    match Version::of_record(start) {
        None => return Ok(None),
        Some(Version::One) => {}
        Some(Version::Two) => file.read_exact_at(rest, offset + SHORTEST as u64)?,
    }
    Ok(Header::decode(&bytes))
}
