//! Output: frames, and what an attempt has of them in all.

use crate::{AttemptId, UnixMillis};
use bytes::Bytes;

/// The number of a frame within its attempt, from 1. 0 stands for "none yet".
pub type FrameNo = u64;

/// Which of a task's streams.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    /// The word that all surfaces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What the worker cut from one pipe at one time. It is never merged or cut again (PROTOCOL P2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Whose output.
    pub attempt: AttemptId,
    /// From 1 in each attempt, without gaps, over both streams.
    pub number: FrameNo,
    /// Which stream.
    pub stream: StreamName,
    /// Position of the first byte in its stream of this attempt. Dropped bytes count.
    pub offset: u64,
    /// When it was cut, by the worker's wall clock: for display only.
    pub at: UnixMillis,
    /// At most [`crate::limits::FRAME_BYTES`]; empty if `dropped` isn't 0. Shared: a clone of the frame copies none of it.
    pub data: Bytes,
    /// Bytes that a limit cut at this place.
    pub dropped: u64,
}

impl Frame {
    /// How far the stream moves by this frame: kept and dropped bytes.
    pub fn length(&self) -> u64 {
        self.data.len() as u64 + self.dropped
    }
}

/// How much output an attempt has in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// The number of the last frame; 0 if there was no output.
    pub frames: FrameNo,
    /// Bytes of stdout, dropped ones included.
    pub stdout: u64,
    /// Bytes of stderr, dropped ones included.
    pub stderr: u64,
}

impl Totals {
    /// Adds a frame that follows.
    pub fn add(&mut self, frame: &Frame) {
        self.frames = frame.number;
        match frame.stream {
            StreamName::Stdout => self.stdout += frame.length(),
            StreamName::Stderr => self.stderr += frame.length(),
        }
    }
}

/// The last frames of an attempt, which travel with its exit report and are stored in the commit of its result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail(pub Vec<Frame>);

impl Tail {
    /// The number of the last frame that travelled on its own, given the attempt's totals.
    pub fn streamed(&self, totals: Totals) -> FrameNo {
        self.0.first().map_or(totals.frames, |f| f.number.saturating_sub(1))
    }
}
