//! The output of one attempt that isn't durable yet: frames, in memory and beyond that on disk, until they are released.
//!
//! Frames are never merged or cut again, and their numbers have no gaps; bytes that find no room leave a frame that
//! counts them. The oldest frames are in memory, those that found no room there on disk behind them; in `held`, behind
//! both, is only what a full disk didn't take and must not be lost.

use crate::keeper::spool::Log;
use bytes::Bytes;
use domain::{AttemptId, Frame, FrameNo, StreamName, Totals, UnixMillis};
use std::{collections::VecDeque, path::Path, sync::Arc};

/// In contact, an attempt's pipes are not read beyond so many unreleased bytes: the task blocks, as in a shell's pipe.
/// Nor is more of an attempt sent to the worker than that, which holds it in memory until it is stored.
pub(super) const WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// In memory, of an attempt: what is read within the window finds room, with a frame beyond it.
const ATTEMPT_MEMORY_BYTES: u64 = 9 * 1024 * 1024;
/// In memory, of all attempts together; beyond it frames go to disk.
const MEMORY_BYTES: u64 = 32 * 1024 * 1024;
/// Sent to the worker and not released, of all attempts together. Each may always have one frame under way.
const UNDER_WAY_BYTES: u64 = 64 * 1024 * 1024;
/// What a frame costs besides its bytes: a task that writes single bytes must not fill memory or disk unseen.
const FRAME_COST: u64 = 128;

/// What all attempts hold together.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Unreleased, frames' own costs included.
    pub(super) spooled: u64,
    /// Of these, in memory.
    memory: u64,
    /// Of these, sent to the worker.
    under_way: u64,
}

/// Unreleased output.
pub(super) struct Output {
    attempt: AttemptId,
    /// Numbers `released.frames + 1 ..`, oldest first.
    memory: VecDeque<Frame>,
    log: Log,
    /// Behind both: markers, and what was read before it was known that the disk is full.
    held: VecDeque<Frame>,
    released: Totals,
    totals: Totals,
    bytes: u64,
    memory_bytes: u64,
    /// Sent to this connection's worker, unreleased. Bounded by the window: 65,000 frames of a byte.
    under_way: VecDeque<Sent>,
    under_way_bytes: u64,
    /// Dropped, but not yet in a frame.
    dropped: [u64; 2],
}

/// What is remembered of a frame that was sent: it may lie on disk.
struct Sent {
    number: FrameNo,
    stream: StreamName,
    length: u64,
    cost: u64,
}

fn cost(frame: &Frame) -> u64 {
    frame.data.len() as u64 + FRAME_COST
}

impl Output {
    /// What doesn't fit into memory goes to files in `dir`, which need not exist.
    pub(super) fn new(attempt: AttemptId, dir: Arc<Path>) -> Self {
        Self {
            attempt,
            memory: VecDeque::new(),
            log: Log::new(dir, attempt),
            held: VecDeque::new(),
            released: Totals::default(),
            totals: Totals::default(),
            bytes: 0,
            memory_bytes: 0,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            dropped: [0; 2],
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// How far it is durable at the scheduler.
    pub(super) fn released(&self) -> Totals {
        self.released
    }

    /// What it holds, frames' own costs included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps what was read at one time, behind a frame for what was dropped before it. Gives it back if there is no room
    /// in memory or on disk.
    pub(super) fn keep(
        &mut self,
        stream: StreamName,
        data: Bytes,
        at: UnixMillis,
        usage: &mut Usage,
    ) -> Result<(), Bytes> {
        if !self.settle(usage) {
            return Err(data);
        }
        let mut end = self.totals;
        let marker = self.marker(stream, end, at);
        marker.iter().for_each(|marker| end.add(marker));
        let frame = self.next(stream, end, at, data);
        let frames: Vec<Frame> = marker.into_iter().chain([frame]).collect();
        match self.place(frames, usage) {
            Ok(()) => {
                *self.dropped_of(stream) = 0;
                Ok(())
            }
            Err(frames) => Err(frames.into_iter().next_back().map(|frame| frame.data).unwrap_or_default()),
        }
    }

    /// Keeps it in memory, whatever is there already: it was read and must not be lost.
    pub(super) fn hold(&mut self, stream: StreamName, data: Bytes, at: UnixMillis, usage: &mut Usage) {
        self.mark(stream, at, usage);
        let frame = self.next(stream, self.totals, at, data);
        self.put_behind(frame, usage);
    }

    /// Counts what was read and found no room.
    pub(super) fn drop(&mut self, stream: StreamName, bytes: usize) {
        *self.dropped_of(stream) += bytes as u64;
    }

    /// Makes frames of what was dropped since the last frame of each stream.
    pub(super) fn mark_all(&mut self, at: UnixMillis, usage: &mut Usage) {
        self.settle(usage);
        self.mark(StreamName::Stdout, at, usage);
        self.mark(StreamName::Stderr, at, usage);
    }

    fn mark(&mut self, stream: StreamName, at: UnixMillis, usage: &mut Usage) {
        let Some(marker) = self.marker(stream, self.totals, at) else { return };
        *self.dropped_of(stream) = 0;
        if let Err(frames) = self.place(vec![marker], usage) {
            frames.into_iter().for_each(|frame| self.put_behind(frame, usage));
        }
    }

    fn marker(&mut self, stream: StreamName, end: Totals, at: UnixMillis) -> Option<Frame> {
        let dropped = *self.dropped_of(stream);
        (dropped > 0).then(|| Frame { dropped, ..self.next(stream, end, at, Bytes::new()) })
    }

    fn dropped_of(&mut self, stream: StreamName) -> &mut u64 {
        let [stdout, stderr] = &mut self.dropped;
        match stream {
            StreamName::Stdout => stdout,
            StreamName::Stderr => stderr,
        }
    }

    fn next(&self, stream: StreamName, end: Totals, at: UnixMillis, data: Bytes) -> Frame {
        let offset = match stream {
            StreamName::Stdout => end.stdout,
            StreamName::Stderr => end.stderr,
        };
        Frame { attempt: self.attempt, number: end.frames + 1, stream, offset, at, data, dropped: 0 }
    }

    /// Puts frames behind all others, in memory or on disk; gives them back if neither has room.
    fn place(&mut self, frames: Vec<Frame>, usage: &mut Usage) -> Result<(), Vec<Frame>> {
        let more: u64 = frames.iter().map(cost).sum();
        let room = self.memory_bytes + more <= ATTEMPT_MEMORY_BYTES && usage.memory + more <= MEMORY_BYTES;
        if self.held.is_empty() && self.log.is_empty() && room {
            for frame in frames {
                self.count(&frame, usage);
                self.memory_bytes += cost(&frame);
                usage.memory += cost(&frame);
                self.memory.push_back(frame);
            }
            return Ok(());
        }
        if !self.held.is_empty() || self.log.append(self.totals, &frames.iter().collect::<Vec<_>>()).is_err() {
            return Err(frames);
        }
        frames.iter().for_each(|frame| self.count(frame, usage));
        Ok(())
    }

    fn count(&mut self, frame: &Frame, usage: &mut Usage) {
        self.totals.add(frame);
        self.bytes += cost(frame);
        usage.spooled += cost(frame);
    }

    fn put_behind(&mut self, frame: Frame, usage: &mut Usage) {
        self.count(&frame, usage);
        self.memory_bytes += cost(&frame);
        usage.memory += cost(&frame);
        self.held.push_back(frame);
    }

    /// Whether nothing is held that the disk should have taken; tries it again.
    pub(super) fn settle(&mut self, usage: &mut Usage) -> bool {
        let Some(first) = self.held.front() else { return true };
        if self.log.is_empty() && self.memory_bytes <= ATTEMPT_MEMORY_BYTES && usage.memory <= MEMORY_BYTES {
            self.memory.append(&mut self.held);
            return true;
        }
        let mut before = Totals { frames: first.number - 1, ..self.totals };
        for frame in &self.held {
            match frame.stream {
                StreamName::Stdout => before.stdout -= frame.length(),
                StreamName::Stderr => before.stderr -= frame.length(),
            }
        }
        if self.log.append(before, &self.held.iter().collect::<Vec<_>>()).is_err() {
            return false;
        }
        let moved: u64 = self.held.drain(..).map(|frame| cost(&frame)).sum();
        self.memory_bytes -= moved;
        usage.memory -= moved;
        true
    }

    /// Whether the worker may be sent more.
    pub(super) fn may_send(&self, usage: &Usage) -> bool {
        let room = self.under_way_bytes < WINDOW_BYTES && usage.under_way < UNDER_WAY_BYTES;
        self.under_way.is_empty() || room
    }

    /// The frame after number `after`, which must not be below what is released: it is under way from here on.
    pub(super) fn send(&mut self, after: FrameNo, usage: &mut Usage) -> Option<Frame> {
        let in_memory = usize::try_from(after.checked_sub(self.released.frames)?).ok();
        let in_memory = in_memory.and_then(|n| self.memory.get(n)).cloned();
        let frame = in_memory.or_else(|| self.log.frame(after + 1));
        let frame = frame.or_else(|| self.held.iter().find(|frame| frame.number == after + 1).cloned())?;
        let (length, cost) = (frame.length(), cost(&frame));
        self.under_way.push_back(Sent { number: frame.number, stream: frame.stream, length, cost });
        self.under_way_bytes += cost;
        usage.under_way += cost;
        Some(frame)
    }

    /// A new worker has been sent nothing.
    pub(super) fn rewind(&mut self, usage: &mut Usage) {
        usage.under_way -= self.under_way_bytes;
        self.under_way_bytes = 0;
        self.under_way.clear();
    }

    /// Drops frames that were sent, up to a number.
    pub(super) fn release(&mut self, number: FrameNo, usage: &mut Usage) {
        while self.under_way.front().is_some_and(|sent| sent.number <= number) {
            let Some(Sent { number, stream, length, cost }) = self.under_way.pop_front() else { return };
            self.released.frames = number;
            match stream {
                StreamName::Stdout => self.released.stdout += length,
                StreamName::Stderr => self.released.stderr += length,
            }
            self.under_way_bytes -= cost;
            usage.under_way -= cost;
            self.bytes -= cost;
            usage.spooled -= cost;
            let place = if self.memory.is_empty() { &mut self.held } else { &mut self.memory };
            if place.front().is_some_and(|frame| frame.number == number) {
                place.pop_front();
                self.memory_bytes -= cost;
                usage.memory -= cost;
            }
        }
        self.log.release(self.released.frames);
        if self.released.frames == self.totals.frames {
            // Frames that came back damaged cost less than when they were written.
            usage.spooled -= std::mem::take(&mut self.bytes);
        }
    }

    /// All of it is dropped.
    pub(super) fn forget(mut self, usage: &mut Usage) {
        self.rewind(usage);
        usage.spooled -= self.bytes;
        usage.memory -= self.memory_bytes;
        self.log.release(FrameNo::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StreamName::{Stderr, Stdout};
    use domain::{AttemptNo, TaskId};

    struct Rig {
        dir: tempfile::TempDir,
        output: Output,
        usage: Usage,
    }

    const AT: UnixMillis = UnixMillis(3);

    impl Rig {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let attempt = AttemptId { task: TaskId::from_parts(1, 0, 2, 3), no: AttemptNo::FIRST };
            let output = Output::new(attempt, dir.path().join("spool").into());
            Self { dir, output, usage: Usage::default() }
        }

        fn keep(&mut self, stream: StreamName, data: &[u8]) -> bool {
            self.output.keep(stream, data.to_vec().into(), AT, &mut self.usage).is_ok()
        }

        /// What a worker is sent from the beginning, without releasing it.
        fn send(&mut self) -> Vec<Frame> {
            self.output.rewind(&mut self.usage);
            let first = self.output.released().frames;
            (first..self.output.totals().frames).map_while(|n| self.output.send(n, &mut self.usage)).collect()
        }

        fn shape(&mut self) -> Vec<(u64, StreamName, u64, usize, u64)> {
            self.send().iter().map(|f| (f.number, f.stream, f.offset, f.data.len(), f.dropped)).collect()
        }

        fn files(&self) -> usize {
            std::fs::read_dir(self.dir.path().join("spool")).map_or(0, Iterator::count)
        }
    }

    #[test]
    fn dropped_bytes_leave_one_frame_in_their_place_and_move_the_offset() {
        let mut rig = Rig::new();
        assert!(rig.keep(Stdout, b"ab"));
        rig.output.drop(Stdout, 3);
        rig.output.drop(Stdout, 4);
        assert!(rig.keep(Stderr, b"e") && rig.keep(Stdout, b"c"));
        assert_eq!(
            rig.shape(),
            [(1, Stdout, 0, 2, 0), (2, Stderr, 0, 1, 0), (3, Stdout, 2, 0, 7), (4, Stdout, 9, 1, 0)]
        );
        assert_eq!(rig.output.totals(), Totals { frames: 4, stdout: 10, stderr: 1 });
    }

    #[test]
    fn what_memory_does_not_hold_goes_to_disk_and_comes_back_in_order() {
        let mut rig = Rig::new();
        for n in 0..40_u8 {
            assert!(rig.keep(Stdout, &vec![n; 1 << 20]));
        }
        assert!(rig.output.memory_bytes <= ATTEMPT_MEMORY_BYTES, "{} bytes in memory", rig.output.memory_bytes);
        assert!(rig.files() > 6, "{} files", rig.files());
        let frames = rig.send();
        assert!(frames.iter().zip(0..).all(|(f, n)| f.number == n + 1 && f.data == vec![n as u8; 1 << 20]));
        rig.output.release(33, &mut rig.usage);
        assert_eq!(rig.send().first().map(|f| f.number), Some(34));
        rig.output.release(40, &mut rig.usage);
        assert_eq!((rig.output.bytes(), rig.usage.spooled, rig.usage.memory, rig.files()), (0, 0, 0, 0));
        assert_eq!(rig.output.released(), rig.output.totals());
        assert!(rig.keep(Stderr, b"more") && rig.output.log.is_empty(), "in memory again");
    }

    #[test]
    fn one_worker_is_not_sent_more_than_the_window_before_it_releases() {
        let mut rig = Rig::new();
        for _ in 0..20 {
            assert!(rig.keep(Stdout, &[1; 1 << 20]));
        }
        let mut sent = 0;
        while rig.output.may_send(&rig.usage) {
            sent = rig.output.send(sent, &mut rig.usage).expect("a frame").number;
        }
        assert_eq!(sent, 8);
        rig.output.release(1, &mut rig.usage);
        assert!(rig.output.may_send(&rig.usage));
        rig.usage.under_way += UNDER_WAY_BYTES;
        assert!(!rig.output.may_send(&rig.usage), "others have much under way");
        rig.output.release(8, &mut rig.usage);
        assert!(rig.output.may_send(&rig.usage), "one frame always");
    }

    #[test]
    fn a_full_disk_keeps_what_must_not_be_lost_and_counts_the_rest() {
        let mut rig = Rig::new();
        while rig.output.memory_bytes + (1 << 20) + FRAME_COST <= ATTEMPT_MEMORY_BYTES {
            assert!(rig.keep(Stdout, &[1; 1 << 20]));
        }
        // No directory can be made where a file is.
        std::fs::write(rig.dir.path().join("spool"), "").expect("written");
        let before = rig.output.totals();
        assert!(!rig.keep(Stdout, &[2; 1 << 20]));
        assert_eq!(rig.output.totals(), before, "nothing changed");
        rig.output.drop(Stdout, 1 << 20);
        rig.output.mark_all(AT, &mut rig.usage);
        rig.output.hold(Stderr, vec![5; 2 << 20].into(), AT, &mut rig.usage);
        assert!(!rig.output.settle(&mut rig.usage), "the disk is still full");
        std::fs::remove_file(rig.dir.path().join("spool")).expect("removed");
        assert!(rig.keep(Stdout, &[4; 1 << 20]), "it heals by itself");
        assert!(rig.output.held.is_empty());
        let shape = rig.shape();
        let first = before.frames;
        let marker = (first + 1, Stdout, before.stdout, 0, 1 << 20);
        assert!(shape.contains(&marker) && shape.contains(&(first + 2, Stderr, 0, 2 << 20, 0)), "{shape:?}");
        assert_eq!(shape.last().map(|s| (s.1, s.3)), Some((Stdout, 1 << 20)));
        rig.output.forget(&mut rig.usage);
        assert_eq!((rig.usage.spooled, rig.usage.memory, rig.usage.under_way), (0, 0, 0));
    }
}
