//! Watch: the story from a place to its end. First from the stores up to what was told on attaching, then from the feed;
//! and again from the stores whenever the feed was lost.

use super::feed::{Follower, Told};
use super::script::Script;
use super::{Attached, Handle};
use domain::{Result, StoryId, TaskId};
use futures_util::{Stream, stream};
use std::collections::VecDeque;

/// An item of a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoryItem {
    /// Its place.
    pub id: StoryId,
    /// Its position in the whole story, from 1.
    pub sequence: u64,
    /// What it tells.
    pub told: Told,
}

/// One reader.
struct Watch {
    handle: Handle,
    task: TaskId,
    output: bool,
    /// The last place seen.
    after: StoryId,
    ready: VecDeque<StoryItem>,
    phase: Phase,
}

enum Phase {
    /// Reading what had been told on attaching.
    Script(Box<Script>, Follower),
    /// Following; the position of the last item told.
    Feed(Follower, u64),
    /// The feed was lost.
    Behind,
    Over,
}

pub(super) async fn watch(
    handle: Handle,
    task: TaskId,
    after: StoryId,
    output: bool,
) -> Result<impl Stream<Item = Result<StoryItem>> + Send + use<>> {
    let phase = open(&handle, task, after, output).await?;
    let watch = Watch { handle, task, output, after, ready: VecDeque::new(), phase };
    Ok(stream::try_unfold(watch, async |mut watch| Ok(watch.next().await?.map(|item| (item, watch)))))
}

/// Attaches, then opens the script: in this order nothing falls in between.
async fn open(handle: &Handle, task: TaskId, after: StoryId, output: bool) -> Result<Phase> {
    let Attached { bound, follower } = handle.attach(task).await?;
    let script =
        handle.blocking(move |h| Script::open(h.store.as_ref(), &h.output, task, after, bound, output)).await??;
    Ok(Phase::Script(Box::new(script), follower))
}

impl Watch {
    async fn next(&mut self) -> Result<Option<StoryItem>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                self.after = item.id;
                if is_final(&item.told) {
                    self.phase = Phase::Over;
                }
                return Ok(Some(item));
            }
            // A step that is cancelled or fails leaves the reader behind: it would read on from the stores.
            match std::mem::replace(&mut self.phase, Phase::Behind) {
                Phase::Script(script, follower) => self.read(script, follower).await?,
                Phase::Feed(follower, position) => self.follow(follower, position).await,
                Phase::Behind => self.phase = open(&self.handle, self.task, self.after, self.output).await?,
                Phase::Over => {
                    self.phase = Phase::Over;
                    return Ok(None);
                }
            }
        }
    }

    async fn read(&mut self, mut script: Box<Script>, follower: Follower) -> Result<()> {
        let (script, items) = self
            .handle
            .blocking(move |_| {
                let items = script.next();
                (script, items)
            })
            .await?;
        self.ready = items?.into();
        self.phase = if !self.ready.is_empty() {
            Phase::Script(script, follower)
        } else if script.whole {
            Phase::Over
        } else {
            Phase::Feed(follower, script.position)
        };
        Ok(())
    }

    async fn follow(&mut self, mut follower: Follower, position: u64) {
        // `None` leaves the reader behind.
        let Some(item) = follower.next().await else { return };
        let sequence = position + 1;
        self.phase = if is_final(&item.told) { Phase::Over } else { Phase::Feed(follower, sequence) };
        let wanted = self.output || matches!(item.told, Told::Event(_));
        if wanted && item.id > self.after {
            self.ready.push_back(StoryItem { id: item.id, sequence, told: item.told });
        }
    }
}

fn is_final(told: &Told) -> bool {
    match told {
        Told::Event(event) => event.kind.is_final(),
        Told::Output(_) => false,
    }
}
