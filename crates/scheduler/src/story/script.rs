//! The script: a story up to a bound, from the stores. Blocking; reads no more output at once than a few frames.

use super::feed::Told;
use super::watch::StoryItem;
use super::{damaged, unreadable};
use domain::{AttemptId, Event, Frame, Result, StoryId, Task, TaskId};
use output::{Entry, OutputReader};
use std::{collections::BTreeSet, collections::VecDeque, sync::Arc};
use store::Reader;

/// Items given at once.
const ITEMS: usize = 256;
/// Bytes of output given at once: what a slow reader costs.
const BYTES: usize = 1024 * 1024;

/// The part of a story between two places.
pub(super) struct Script {
    events: VecDeque<Event>,
    /// `None`: without output.
    frames: Option<Frames>,
    /// Up to here.
    pub bound: StoryId,
    /// Items up to `bound`.
    pub position: u64,
    /// The task is final, and the bound is its end.
    pub whole: bool,
    /// Everything up to the bound is given: the next look would find nothing.
    pub exhausted: bool,
    /// Items up to the last one given.
    given: u64,
    counts: Counts,
}

/// What is counted for sequence numbers, and read frame by frame.
struct Counts {
    output: Arc<dyn OutputReader>,
    /// All attempts with output, oldest first.
    attempts: Vec<AttemptId>,
    /// Frames in the task store: the event they follow, and the frame. They follow those in the output store.
    tails: Vec<(u64, Frame)>,
}

/// The frames that are left, in order.
struct Frames {
    /// Frames up to here are left out.
    from: StoryId,
    attempts: VecDeque<AttemptId>,
    /// The last frame of the first of `attempts` that was taken or skipped.
    reached: u64,
    page: VecDeque<Entry>,
    tails: VecDeque<(u64, Frame)>,
}

/// A frame and where it is.
enum Next {
    Stored(Entry),
    Tail(Frame),
}

impl Script {
    /// Opens the story of a task behind `after`, up to `bound`. The record was read after the reader attached.
    pub fn open(
        store: &dyn Reader,
        output: &Arc<dyn OutputReader>,
        record: &Task,
        after: StoryId,
        bound: StoryId,
        with_output: bool,
    ) -> Result<Self> {
        let whole = record.state.is_final() && bound.event >= record.events;
        let from = after.min(bound);
        let events = events(store, record, from, bound)?;
        let counts = Counts::open(store, output, record.id)?;
        let frames = with_output.then(|| counts.frames(from, bound));
        let (given, position) = (counts.position(from), counts.position(bound));
        Ok(Self { events, frames, bound, position, whole, exhausted: false, given, counts })
    }

    /// The next items; `exhausted` says whether they are the last.
    pub fn next(&mut self) -> Result<Vec<StoryItem>> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < ITEMS && bytes < BYTES {
            let event = self.events.front().map(|event| StoryId { event: event.stamp.event, frame: 0 });
            let frame = self.frames.as_mut().and_then(|frames| self.counts.peek(frames, self.bound));
            let (id, told) = match (event, frame) {
                (Some(id), frame) if frame.is_none_or(|frame| id < frame) => {
                    let Some(event) = self.events.pop_front() else { break };
                    (id, Told::Event(Arc::new(event)))
                }
                (_, Some(id)) => {
                    let Some(next) = self.frames.as_mut().and_then(Frames::take) else { break };
                    let frame = self.counts.read(next)?;
                    bytes += frame.data.len();
                    (id, Told::Output(Arc::new(frame)))
                }
                (_, None) => {
                    self.exhausted = true;
                    break;
                }
            };
            // With output every item is given, so they count themselves.
            self.given = if self.frames.is_some() { self.given + 1 } else { self.counts.position(id) };
            items.push(StoryItem { id, sequence: self.given, told });
        }
        Ok(items)
    }
}

/// Events behind `from`, up to `bound`.
fn events(store: &dyn Reader, task: &Task, from: StoryId, bound: StoryId) -> Result<VecDeque<Event>> {
    let mut events = task.events();
    events.extend(store.progress(task.id, from.event).map_err(|f| unreadable(&f))?);
    events.retain(|event| event.stamp.event > from.event && event.stamp.event <= bound.event);
    events.sort_by_key(|event| event.stamp.event);
    Ok(events.into())
}

impl Counts {
    fn open(store: &dyn Reader, output: &Arc<dyn OutputReader>, task: TaskId) -> Result<Self> {
        let mut tails = store.tails(task).map_err(|f| unreadable(&f))?;
        // A frame that came both ways counts as it came first.
        tails.retain(|(_, frame)| frame.number > output.count(frame.attempt, u64::MAX));
        let mut attempts: BTreeSet<AttemptId> = output.attempts(task).into_iter().collect();
        attempts.extend(tails.iter().map(|(_, frame)| frame.attempt));
        Ok(Self { output: Arc::clone(output), attempts: attempts.into_iter().collect(), tails })
    }

    /// Items of the story up to this place, if there are events up to it.
    fn position(&self, id: StoryId) -> u64 {
        let stored: u64 = self.attempts.iter().map(|attempt| self.stored(*attempt, id)).sum();
        let tails = self.tails.iter().filter(|(after, frame)| place(*after, frame.number) <= id).count();
        id.event + stored + tails as u64
    }

    /// Frames of an attempt in the output store that are part of the story, up to this place: the first so many.
    fn stored(&self, attempt: AttemptId, id: StoryId) -> u64 {
        let before = id.event.checked_sub(1).map_or(0, |event| self.output.count(attempt, event));
        let with = self.output.count(attempt, id.event);
        id.frame.clamp(before, with)
    }

    fn frames(&self, from: StoryId, bound: StoryId) -> Frames {
        let within = |after: u64, frame: &Frame| {
            let id = place(after, frame.number);
            id > from && id <= bound
        };
        let tails = self.tails.iter().filter(|(after, frame)| within(*after, frame)).cloned().collect();
        let attempts: VecDeque<AttemptId> = self.attempts.iter().copied().collect();
        let reached = attempts.front().map_or(0, |attempt| self.stored(*attempt, from));
        Frames { from, attempts, reached, page: VecDeque::new(), tails }
    }

    /// The place of the next frame, up to `bound`.
    fn peek(&self, frames: &mut Frames, bound: StoryId) -> Option<StoryId> {
        while let Some(attempt) = frames.attempts.front().copied() {
            if frames.page.is_empty() {
                let left = self.stored(attempt, bound).saturating_sub(frames.reached);
                let limit = usize::try_from(left).unwrap_or(usize::MAX).min(ITEMS);
                frames.page = self.output.entries(attempt, frames.reached, limit).into();
            }
            if let Some(entry) = frames.page.front() {
                return Some(place(entry.after, entry.number));
            }
            if let Some((after, frame)) = frames.tails.front().filter(|(_, frame)| frame.attempt == attempt) {
                return Some(place(*after, frame.number));
            }
            frames.attempts.pop_front();
            frames.reached = frames.attempts.front().map_or(0, |next| self.stored(*next, frames.from));
        }
        None
    }

    fn read(&self, next: Next) -> Result<Frame> {
        match next {
            Next::Stored(entry) => self.output.read(entry.place).map(|placed| placed.frame).map_err(|e| damaged(&e)),
            Next::Tail(frame) => Ok(frame),
        }
    }
}

impl Frames {
    /// Takes the frame that was peeked at.
    fn take(&mut self) -> Option<Next> {
        if let Some(entry) = self.page.pop_front() {
            self.reached = entry.number;
            return Some(Next::Stored(entry));
        }
        self.tails.pop_front().map(|(_, frame)| Next::Tail(frame))
    }
}

fn place(after: u64, number: u64) -> StoryId {
    StoryId { event: after, frame: number }
}
