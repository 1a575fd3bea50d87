//! The line of one task: what has arrived but may not be told yet, in order of arrival.
//!
//! An event waits behind the frames that arrived before it until they are durable, so that whoever follows live sees the
//! order that a later reader finds in the store.

use super::feed::{Feed, Item, Told};
use domain::{AttemptNo, Event, EventKind, Frame, FrameNo, StoryId, Tail};
use std::{collections::VecDeque, sync::Arc};

/// A task that runs, is read, or of which something is being written. Others have no line: they may be millions.
#[derive(Default)]
pub(super) struct Line {
    /// Told to everybody up to here: what a reader who attaches now may read from the store.
    released: StoryId,
    /// The last event that arrived; 0 if none did: then the line exists for its readers only.
    last: u64,
    /// The attempt under way, as of the last event that arrived.
    current: Option<AttemptNo>,
    /// The last frame of the current attempt that arrived.
    frames: FrameNo,
    /// Bounded: frames by the bytes that may be under way, events by what the engine does in one sync's time.
    waiting: VecDeque<Waiting>,
    feeds: Vec<Feed>,
    over: bool,
}

enum Waiting {
    /// A frame that is being written.
    Frame,
    Event(Event, Tail),
    /// All readers go to the store: how far the story is there; `None`: they find out.
    Reset(Option<StoryId>),
}

/// Where a task stands at the beginning of a reign.
#[derive(Clone, Copy)]
pub(super) struct Seed {
    /// Its last event.
    pub last: u64,
    /// The attempt under way.
    pub current: Option<AttemptNo>,
    /// That attempt's last frame.
    pub frames: FrameNo,
}

impl Line {
    /// The event that a frame arriving now follows, and whether a frame of this attempt is part of the story.
    pub fn place(&self, attempt: AttemptNo) -> (u64, bool) {
        (self.last, self.current == Some(attempt))
    }

    /// A frame of the story arrived and is being written.
    pub fn frame_arrived(&mut self, number: FrameNo) {
        self.frames = number;
        self.waiting.push_back(Waiting::Frame);
    }

    /// The frame that arrived first is durable.
    pub fn frame_stored(&mut self, after: u64, frame: Frame) {
        if matches!(self.waiting.front(), Some(Waiting::Frame)) {
            self.waiting.pop_front();
        }
        self.tell_frame(after, frame);
        self.release();
    }

    /// The frame that arrived first will not be stored; so many of its attempt are. It comes again.
    pub fn frame_lost(&mut self, stored: FrameNo) {
        if matches!(self.waiting.front(), Some(Waiting::Frame)) {
            self.waiting.pop_front();
        }
        self.frames = stored;
        self.release();
    }

    /// A committed event arrived, with the frames committed before it.
    pub fn event_arrived(&mut self, event: Event, mut tail: Tail) {
        // A frame can come both ways if the worker's connection broke in between: the first way counts.
        tail.0.retain(|frame| Some(frame.attempt.no) != self.current || frame.number > self.frames);
        self.last = event.stamp.event;
        match &event.kind {
            EventKind::Dispatched(_) => (self.current, self.frames) = (Some(AttemptNo(event.attempt)), 0),
            EventKind::AttemptEnded(..) | EventKind::Finished(..) => self.current = None,
            EventKind::Accepted | EventKind::Begun => {}
            EventKind::Started(_) | EventKind::Progressed(_) | EventKind::CancelRequested => {}
        }
        // Nearly always: nothing is being written.
        if self.waiting.is_empty() {
            return self.tell_event(event, tail);
        }
        self.waiting.push_back(Waiting::Event(event, tail));
    }

    /// All readers go to the store: a new reign begins, or what happened to the task is told by nobody. `None`: nothing runs.
    pub fn reset(&mut self, seed: Option<Seed>) {
        let Seed { last, current, frames } = seed.unwrap_or(Seed { last: self.last, current: None, frames: 0 });
        (self.last, self.current, self.frames) = (last, current, frames);
        self.waiting.push_back(Waiting::Reset(seed.map(|_| StoryId { event: last, frame: frames })));
        self.release();
    }

    /// A reader attaches: how far it may read in the store. `None`: nothing is known of the task here, so nothing runs and
    /// nothing is being written as far as it was told; what is told from now on, it hears.
    pub fn attach(&mut self, feed: Feed) -> Option<StoryId> {
        self.feeds.push(feed);
        (self.last > 0).then_some(self.released)
    }

    /// Whether nobody needs the line: everything is told, or nothing is to be told to nobody.
    pub fn is_idle(&mut self) -> bool {
        self.over || !self.is_live() && self.waiting.is_empty() && self.is_unread()
    }

    /// Whether an attempt is under way, as of the last event that arrived.
    pub fn is_live(&self) -> bool {
        self.current.is_some()
    }

    /// Forgets readers that are gone. True if none is left.
    fn is_unread(&mut self) -> bool {
        self.feeds.retain(|feed| !feed.is_closed());
        self.feeds.is_empty()
    }

    /// Tells what no frame stands before.
    fn release(&mut self) {
        while !matches!(self.waiting.front(), None | Some(Waiting::Frame)) {
            match self.waiting.pop_front() {
                Some(Waiting::Event(event, tail)) => self.tell_event(event, tail),
                Some(Waiting::Reset(to)) => {
                    // What the store has beyond what was told is nowhere else: all readers go there.
                    self.feeds.clear();
                    self.released = to.unwrap_or_default();
                    self.over = to.is_none();
                }
                Some(Waiting::Frame) | None => {}
            }
        }
    }

    fn tell_event(&mut self, event: Event, tail: Tail) {
        let number = event.stamp.event;
        for frame in tail.0 {
            self.tell_frame(number.saturating_sub(1), frame);
        }
        self.released = StoryId { event: number, frame: 0 };
        self.over = event.kind.is_final();
        self.tell(|| Told::Event(Arc::new(event)));
    }

    fn tell_frame(&mut self, after: u64, frame: Frame) {
        self.released = StoryId { event: after, frame: frame.number };
        self.tell(|| Told::Output(Arc::new(frame)));
    }

    fn tell(&mut self, what: impl FnOnce() -> Told) {
        if self.feeds.is_empty() {
            return;
        }
        let item = Item { id: self.released, told: what() };
        self.feeds.retain(|feed| feed.send(item.clone()));
    }
}
