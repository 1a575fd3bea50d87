//! The output of one attempt that isn't durable yet: frames, in memory, until they are released.
//!
//! Frames are never merged or cut again, and their numbers have no gaps; bytes that find no room leave a frame that
//! counts them.

use domain::{AttemptId, Frame, FrameNo, StreamName, Totals, UnixMillis};
use std::collections::VecDeque;

/// In contact, an attempt's pipes are not read beyond so many unreleased bytes: the task blocks, as in a shell's pipe.
pub(super) const WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// Out of contact, so many are kept for an attempt (PROTOCOL P2).
pub(super) const ATTEMPT_BYTES: u64 = 256 * 1024 * 1024;
/// And so many for all together.
pub(super) const ALL_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// What a frame costs besides its bytes: a task that writes single bytes must not fill the memory unseen.
const FRAME_COST: u64 = 128;

/// Unreleased output.
#[derive(Debug)]
pub(super) struct Spool {
    attempt: AttemptId,
    /// Numbers `released + 1 ..= totals.frames`.
    frames: VecDeque<Frame>,
    released: FrameNo,
    totals: Totals,
    bytes: u64,
    /// Dropped, but not yet in a frame.
    dropped: [u64; 2],
}

fn cost(frame: &Frame) -> u64 {
    frame.data.len() as u64 + FRAME_COST
}

impl Spool {
    pub(super) fn new(attempt: AttemptId) -> Self {
        Self { attempt, frames: VecDeque::new(), released: 0, totals: Totals::default(), bytes: 0, dropped: [0; 2] }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn released(&self) -> FrameNo {
        self.released
    }

    /// What it holds, frames' own costs included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps what was read at one time.
    pub(super) fn keep(&mut self, stream: StreamName, data: Vec<u8>, at: UnixMillis) {
        self.mark(stream, at);
        self.add(stream, data, 0, at);
    }

    /// Counts what was read and found no room.
    pub(super) fn drop(&mut self, stream: StreamName, bytes: usize) {
        *self.dropped_of(stream) += bytes as u64;
    }

    /// Makes frames of what was dropped since the last frame of each stream.
    pub(super) fn mark_all(&mut self, at: UnixMillis) {
        self.mark(StreamName::Stdout, at);
        self.mark(StreamName::Stderr, at);
    }

    fn mark(&mut self, stream: StreamName, at: UnixMillis) {
        let dropped = std::mem::take(self.dropped_of(stream));
        if dropped > 0 {
            self.add(stream, Vec::new(), dropped, at);
        }
    }

    fn dropped_of(&mut self, stream: StreamName) -> &mut u64 {
        let [stdout, stderr] = &mut self.dropped;
        match stream {
            StreamName::Stdout => stdout,
            StreamName::Stderr => stderr,
        }
    }

    fn add(&mut self, stream: StreamName, data: Vec<u8>, dropped: u64, at: UnixMillis) {
        let offset = match stream {
            StreamName::Stdout => self.totals.stdout,
            StreamName::Stderr => self.totals.stderr,
        };
        let number = self.totals.frames + 1;
        let frame = Frame { attempt: self.attempt, number, stream, offset, at, data, dropped };
        self.totals.add(&frame);
        self.bytes += cost(&frame);
        self.frames.push_back(frame);
    }

    /// The frame after number `after`, which must not be below what is released.
    pub(super) fn after(&self, after: FrameNo) -> Option<&Frame> {
        self.frames.get(usize::try_from(after.checked_sub(self.released)?).ok()?)
    }

    /// Drops frames up to a number.
    pub(super) fn release(&mut self, number: FrameNo) {
        while self.released < number {
            let Some(frame) = self.frames.pop_front() else { return };
            self.released = frame.number;
            self.bytes -= cost(&frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StreamName::{Stderr, Stdout};
    use domain::{AttemptNo, TaskId};

    fn spool() -> Spool {
        Spool::new(AttemptId { task: TaskId::from_parts(1, 0, 2, 3), no: AttemptNo::FIRST })
    }

    #[test]
    fn dropped_bytes_leave_one_frame_in_their_place_and_move_the_offset() {
        let (mut spool, at) = (spool(), UnixMillis(0));
        spool.keep(Stdout, b"ab".into(), at);
        spool.drop(Stdout, 3);
        spool.drop(Stdout, 4);
        spool.keep(Stderr, b"e".into(), at);
        spool.keep(Stdout, b"c".into(), at);
        let frames: Vec<_> = (0..).map_while(|n| spool.after(n)).collect();
        let shape: Vec<_> = frames.iter().map(|f| (f.number, f.stream, f.offset, f.data.len(), f.dropped)).collect();
        assert_eq!(shape, [(1, Stdout, 0, 2, 0), (2, Stderr, 0, 1, 0), (3, Stdout, 2, 0, 7), (4, Stdout, 9, 1, 0)]);
        assert_eq!(spool.totals(), Totals { frames: 4, stdout: 10, stderr: 1 });
    }

    #[test]
    fn released_frames_are_gone_and_cost_nothing() {
        let mut spool = spool();
        for text in ["a", "b", "c"] {
            spool.keep(Stdout, text.into(), UnixMillis(0));
        }
        spool.release(2);
        assert_eq!((spool.released(), spool.after(1), spool.after(2).map(|f| f.number)), (2, None, Some(3)));
        spool.release(9);
        assert_eq!((spool.released(), spool.bytes(), spool.totals().frames), (3, 0, 3));
    }
}
