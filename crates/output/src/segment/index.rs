//! Where every frame is, in memory: 32 bytes a frame and about 100 an attempt, never a byte of output.
//!
//! A million frames (256 GB of full ones) take 32 MB. Attempts with little output have their frames in the task store
//! and none here.

use super::footer::Line;
use crate::{Entry, Place};
use domain::{AttemptId, AttemptNo, StreamName, TaskId, Totals};
use std::collections::BTreeMap;

/// All frames by attempt.
#[derive(Default)]
pub(super) struct Index {
    attempts: BTreeMap<AttemptId, Frames>,
}

/// The frames of one attempt: the first is number 1, and none is missing.
#[derive(Default)]
struct Frames {
    totals: Totals,
    slots: Vec<Slot>,
}

struct Slot {
    offset: u64,
    after: u64,
    segment: u64,
    at: u32,
    stream: StreamName,
    in_story: bool,
}

/// A frame that doesn't follow the ones before it.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) attempt: AttemptId,
    pub(super) number: u64,
    pub(super) expected: u64,
}

impl Index {
    /// Adds a frame. One that is there already is ignored: a crash can leave a resent one in two segments.
    pub(super) fn add(&mut self, segment: u64, line: &Line) -> Result<(), Gap> {
        let Line { attempt, number, stream, in_story, offset, length, after, at } = *line;
        let frames = self.attempts.entry(attempt).or_default();
        let expected = frames.totals.frames + 1;
        if number > expected {
            return Err(Gap { attempt, number, expected });
        }
        if number == expected {
            frames.totals.frames = number;
            match stream {
                StreamName::Stdout => frames.totals.stdout += length,
                StreamName::Stderr => frames.totals.stderr += length,
            }
            frames.slots.push(Slot { offset, after, segment, at, stream, in_story });
        }
        Ok(())
    }

    /// Forgets an attempt: its task is deleted.
    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.attempts.remove(&attempt);
    }

    pub(super) fn totals(&self, attempt: AttemptId) -> Totals {
        self.attempts.get(&attempt).map(|frames| frames.totals).unwrap_or_default()
    }

    pub(super) fn entries(&self, attempt: AttemptId, after: u64, limit: usize) -> Vec<Entry> {
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let slots = self.slots(attempt).get(skip..).unwrap_or_default();
        slots.iter().take(limit).zip(after + 1..).map(|(slot, number)| slot.entry(number)).collect()
    }

    pub(super) fn frame_at(&self, attempt: AttemptId, stream: StreamName, offset: u64) -> Option<Entry> {
        // Offsets grow in each stream, not over both, so there is nothing to bisect. Asked once a reader.
        let ours = self.slots(attempt).iter().zip(1..).filter(|(slot, _)| slot.stream == stream);
        ours.take_while(|(slot, _)| slot.offset <= offset).last().map(|(slot, number)| slot.entry(number))
    }

    pub(super) fn count(&self, attempt: AttemptId, after: u64) -> u64 {
        // An attempt that was given up is never taken up again, and events only follow: both grow with the number.
        let slots = self.slots(attempt);
        slots.partition_point(|slot| slot.in_story && slot.after <= after) as u64
    }

    pub(super) fn attempts(&self, task: TaskId) -> Vec<AttemptId> {
        let of = |no| AttemptId { task, no: AttemptNo(no) };
        self.attempts.range(of(0)..=of(u32::MAX)).map(|(attempt, _)| *attempt).collect()
    }

    fn slots(&self, attempt: AttemptId) -> &[Slot] {
        self.attempts.get(&attempt).map(|frames| frames.slots.as_slice()).unwrap_or_default()
    }
}

impl Slot {
    fn entry(&self, number: u64) -> Entry {
        let Self { offset, after, segment, at, stream, in_story } = *self;
        Entry { number, after, in_story, stream, offset, place: Place { segment, offset: u64::from(at) } }
    }
}
