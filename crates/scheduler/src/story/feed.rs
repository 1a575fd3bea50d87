//! A reader's feed: what is released after it attached, up to a bound. A reader that falls behind loses its feed, not its
//! story: it reads on from the store.

use domain::{Event, Frame, StoryId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{self, error::TryRecvError};

/// Items that wait for a reader at most (CONTRACT 5).
const ITEMS: usize = 100;
/// Bytes of output that wait for a reader at most: readers of many tasks must not fill the memory.
const BYTES: usize = 4 * 1024 * 1024;

/// What a story tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Something happened.
    Event(Arc<Event>),
    /// The task wrote something.
    Output(Arc<Frame>),
}

/// One item on its way to a reader.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub id: StoryId,
    pub told: Told,
}

impl Item {
    fn bytes(&self) -> usize {
        match &self.told {
            Told::Event(_) => 0,
            Told::Output(frame) => frame.data.len(),
        }
    }
}

/// The end that the actor holds.
pub(super) struct Feed {
    items: mpsc::Sender<Item>,
    /// Bytes under way, shared with the follower.
    bytes: Arc<AtomicUsize>,
}

/// The reader's end.
pub(super) struct Follower {
    items: mpsc::Receiver<Item>,
    bytes: Arc<AtomicUsize>,
    /// The next one, if it was looked at.
    first: Option<Item>,
}

/// What a feed has told until now.
pub(super) enum First {
    /// Nothing.
    Nothing,
    /// First this.
    Item(StoryId),
    /// Nothing, and nothing will follow: the reader must attach again.
    Lost,
}

/// Both ends of a feed.
pub(super) fn feed() -> (Feed, Follower) {
    let (to, from) = mpsc::channel(ITEMS);
    let bytes = Arc::<AtomicUsize>::default();
    (Feed { items: to, bytes: Arc::clone(&bytes) }, Follower { items: from, bytes, first: None })
}

impl Feed {
    /// Sends, never waiting. False: the reader is behind or gone, and its feed must be dropped.
    pub fn send(&self, item: Item) -> bool {
        let bytes = item.bytes();
        let under_way = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        (under_way == 0 || under_way + bytes <= BYTES) && self.items.try_send(item).is_ok()
    }

    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.items.is_closed()
    }
}

impl Follower {
    /// The next item; `None`: the feed was dropped, and the reader must attach again.
    pub async fn next(&mut self) -> Option<Item> {
        let item = match self.first.take() {
            Some(item) => item,
            None => self.items.recv().await?,
        };
        self.bytes.fetch_sub(item.bytes(), Ordering::Relaxed);
        Some(item)
    }

    /// Looks at what comes next, without waiting.
    pub fn first(&mut self) -> First {
        if self.first.is_none() {
            match self.items.try_recv() {
                Ok(item) => self.first = Some(item),
                Err(TryRecvError::Empty) => return First::Nothing,
                Err(TryRecvError::Disconnected) => return First::Lost,
            }
        }
        self.first.as_ref().map_or(First::Nothing, |item| First::Item(item.id))
    }
}
