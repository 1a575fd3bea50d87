//! Task output: append, read from any offset, expire. Frames are durable once [`Output::append`] returns.
//!
//! Must never reorder, merge or cut frames, and must never hold a task's whole output in memory.

pub mod segment;

use domain::{AttemptId, Frame, FrameNo, StreamName, TaskId, Totals};
use std::{collections::BTreeSet, io};

/// A frame with its place in the story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The task's last published event when the frame arrived: the frame follows it.
    pub after: u64,
    /// False if the attempt was already given up: kept, but not part of the story.
    pub in_story: bool,
    /// The frame.
    pub frame: Frame,
}

/// Where a stored frame is: what the index keeps (no bytes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number.
    pub number: FrameNo,
    /// The event it follows.
    pub after: u64,
    /// Part of the story.
    pub in_story: bool,
    /// Which stream it is of.
    pub stream: StreamName,
    /// Position of its first byte in that stream.
    pub offset: u64,
    /// Opaque place in the store.
    pub place: Place,
}

/// Segment and byte offset of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Which segment file.
    pub segment: u64,
    /// Where in it.
    pub offset: u64,
}

/// The writing side: owned by one thread.
pub trait Output: Send {
    /// Appends frames and syncs once; when it returns they are durable. A frame whose number the attempt already has is
    /// skipped (a resent one), one that would leave a gap is an error of kind `InvalidData`.
    fn append(&mut self, frames: &[Placed]) -> io::Result<()>;
    /// How far an attempt's output is durable.
    fn totals(&self, attempt: AttemptId) -> Totals;
    /// Deletes these segments, which are sealed and whose tasks are all deleted ([`OutputReader::tasks`]): output expires by
    /// whole segments. Those that are gone already are passed over; the one that is appended to is sealed instead, so that it
    /// can be deleted the next time if its tasks still are.
    fn expire(&mut self, segments: &[u64]) -> io::Result<()>;
}

/// The reading side: shared, blocking; call it off the event loop.
pub trait OutputReader: Send + Sync {
    /// Index entries of an attempt with numbers above `after`, in order, at most `limit`.
    fn entries(&self, attempt: AttemptId, after: FrameNo, limit: usize) -> Vec<Entry>;
    /// The last frame of `stream` that begins at or before `offset`: where reading from there begins.
    fn frame_at(&self, attempt: AttemptId, stream: StreamName, offset: u64) -> Option<Entry>;
    /// How many frames of the attempt are part of the story and follow an event up to `after`: its first so many, because
    /// an attempt that was given up is never taken up again.
    fn count(&self, attempt: AttemptId, after: u64) -> u64;
    /// How far an attempt's output is durable.
    fn totals(&self, attempt: AttemptId) -> Totals;
    /// Reads one frame with its bytes, checking its checksums.
    ///
    /// # Errors
    /// `InvalidData` if the record is damaged.
    fn read(&self, place: Place) -> io::Result<Placed>;
    /// Attempts of a task that have output here.
    fn attempts(&self, task: TaskId) -> Vec<AttemptId>;
    /// Numbers of the segments to which nothing is added any more, oldest first.
    fn sealed(&self) -> io::Result<Vec<u64>>;
    /// The segment that is appended to, and the tasks that have output in it.
    fn open(&self) -> (u64, BTreeSet<TaskId>);
    /// The tasks that have output in a sealed segment.
    fn tasks(&self, segment: u64) -> io::Result<BTreeSet<TaskId>>;
}
