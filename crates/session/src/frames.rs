//! Output that isn't stored yet: when frames are sent, and which travel with the exit report instead.

use domain::{AttemptId, Frame, FrameNo, Monotonic, StreamName, Tail, limits};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// A frame waits so long for its attempt's exit report to take it along: one message less for `echo hi`.
pub(crate) const LINGER: Duration = Duration::from_millis(5);
/// A frame waits so long until the scheduler knows that its attempt started, so that the story reads in order.
const START_FIRST: Duration = Duration::from_millis(100);
/// Bytes sent on the output stream and not acknowledged, at most. When reached, frames stay in the spools, the keeper
/// gets no releases, and the tasks' pipes fill: flow control to the task.
const IN_FLIGHT: usize = 8 * 1024 * 1024;
/// Bytes of one message: one attempt's turn, so that a talkative one doesn't starve the rest.
const MESSAGE: usize = 1024 * 1024;

/// The frames of one attempt that are neither stored nor part of its exit report.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    frames: VecDeque<Arc<Frame>>,
    /// How many of them, from the front, are under way on the present output stream.
    sent: usize,
    /// The last one that was ever under way: it may be stored by now, and must not come a second way.
    last_sent: FrameNo,
    unsent_bytes: usize,
    /// When the first unsent one came.
    waiting_since: Option<Monotonic>,
}

impl Spool {
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn has_unsent(&self) -> bool {
        self.sent < self.frames.len()
    }

    fn push(&mut self, now: Monotonic, frame: Frame) {
        self.unsent_bytes += frame.data.len();
        self.waiting_since.get_or_insert(now);
        self.frames.push_back(Arc::new(frame));
    }

    /// Takes the frames that were never sent out for the exit report, if they are few.
    pub fn take_tail(&mut self) -> Tail {
        let first = self.frames.iter().position(|f| f.number > self.last_sent).unwrap_or(self.frames.len());
        let bytes: usize = self.frames.iter().skip(first).map(|f| f.data.len()).sum();
        if bytes > limits::TAIL_BYTES {
            return Tail::default();
        }
        let tail = self.frames.drain(first..).map(Arc::unwrap_or_clone).collect();
        self.unsent_bytes -= bytes;
        if !self.has_unsent() {
            self.waiting_since = None;
        }
        Tail(tail)
    }

    /// When the unsent frames should go.
    fn due(&self, started_stored: bool, ended: bool) -> Option<Monotonic> {
        let since = self.waiting_since?;
        if !started_stored {
            return Some(since + START_FIRST);
        }
        if ended || self.unsent_bytes > limits::TAIL_BYTES {
            return Some(since);
        }
        Some(since + LINGER)
    }

    /// The next message's frames.
    fn next(&mut self) -> Vec<Arc<Frame>> {
        let mut bytes = 0;
        let mut batch = Vec::new();
        while let Some(frame) = self.frames.get(self.sent) {
            if bytes > 0 && bytes + frame.data.len() > MESSAGE {
                break;
            }
            bytes += frame.data.len();
            self.sent += 1;
            self.last_sent = self.last_sent.max(frame.number);
            batch.push(Arc::clone(frame));
        }
        self.unsent_bytes -= bytes;
        if !self.has_unsent() {
            self.waiting_since = None;
        }
        batch
    }

    /// Drops stored frames; returns how many bytes of them were under way.
    fn stored(&mut self, number: FrameNo) -> usize {
        let mut freed = 0;
        while self.frames.front().is_some_and(|f| f.number <= number) {
            let Some(frame) = self.frames.pop_front() else { break };
            if self.sent > 0 {
                self.sent -= 1;
                freed += frame.data.len();
            } else {
                // Stored before this stream began, and acknowledged only now.
                self.unsent_bytes -= frame.data.len();
            }
        }
        if !self.has_unsent() {
            self.waiting_since = None;
        }
        freed
    }

    /// The stream is gone: all is unsent again.
    fn rewind(&mut self, now: Monotonic) {
        self.sent = 0;
        self.unsent_bytes = self.frames.iter().map(|f| f.data.len()).sum();
        if !self.frames.is_empty() {
            self.waiting_since.get_or_insert(now);
        }
    }
}

/// The output stream, as far as the session sees it.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub connected: bool,
    in_flight: usize,
    /// Attempts with unsent frames, in turn.
    turns: VecDeque<AttemptId>,
}

impl crate::Session {
    /// A frame was cut.
    pub(crate) fn frame(&mut self, now: Monotonic, frame: Frame) {
        let attempt = frame.attempt;
        let Some(held) = self.held.get_mut(&attempt) else { return };
        // A keeper that is adopted sends again what wasn't released.
        if held.ended() || frame.number <= held.totals.frames {
            return;
        }
        let waited = held.spool.has_unsent();
        held.totals.frames = frame.number;
        // An adopted attempt's first frames were stored before this process knew it: count from the offset.
        let end = frame.offset.saturating_add(frame.length());
        match frame.stream {
            StreamName::Stdout => held.totals.stdout = end,
            StreamName::Stderr => held.totals.stderr = end,
        }
        held.spool.push(now, frame);
        if !waited {
            self.output.turns.push_back(attempt);
        }
    }

    /// Frames are stored.
    pub(crate) fn frames_acked(&mut self, attempt: AttemptId, number: FrameNo) {
        let Some(held) = self.held.get_mut(&attempt) else { return };
        let freed = held.spool.stored(number);
        self.output.in_flight = self.output.in_flight.saturating_sub(freed);
        if held.executed {
            self.effects.push(crate::Effect::Release { attempt, frame: number });
        }
        self.drop_if_over(attempt);
    }

    /// The output stream came or went.
    pub(crate) fn output_connected(&mut self, now: Monotonic, connected: bool) {
        self.output.connected = connected;
        self.output.in_flight = 0;
        self.output.turns.clear();
        for (attempt, held) in &mut self.held {
            held.spool.rewind(now);
            if held.spool.has_unsent() {
                self.output.turns.push_back(*attempt);
            }
        }
    }

    /// Makes messages of the frames that are due, one attempt after the other.
    pub(crate) fn send_frames(&mut self, now: Monotonic) {
        if !self.output.connected || !self.is_open() {
            return;
        }
        let mut skipped = 0;
        while self.output.in_flight < IN_FLIGHT && skipped < self.output.turns.len() {
            let Some(attempt) = self.output.turns.pop_front() else { break };
            let Some(held) = self.held.get_mut(&attempt).filter(|h| h.spool.has_unsent()) else { continue };
            if held.spool.due(held.started_stored, held.ended()).is_none_or(|due| due > now) {
                skipped += 1;
                self.output.turns.push_back(attempt);
                continue;
            }
            let batch = held.spool.next();
            if held.spool.has_unsent() {
                self.output.turns.push_back(attempt);
            }
            self.output.in_flight += batch.iter().map(|f| f.data.len()).sum::<usize>();
            self.effects.push(crate::Effect::SendFrames(batch));
        }
    }

    /// When the next frames are due.
    pub(crate) fn frames_due(&self) -> Option<Monotonic> {
        if !self.output.connected || !self.is_open() || self.output.in_flight >= IN_FLIGHT {
            return None;
        }
        let waiting = self.output.turns.iter().filter_map(|a| self.held.get(a));
        waiting.filter_map(|h| h.spool.due(h.started_stored, h.ended())).min()
    }
}
