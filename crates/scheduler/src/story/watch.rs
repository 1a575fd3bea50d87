//! Watch: the story from a place to its end. First from the stores up to what was told on attaching, then from the feed;
//! and again from the stores whenever the feed was lost.

use super::feed::{First, Follower, Told};
use super::script::Script;
use super::{Attached, Handle};
use domain::{Result, StoryId, Task, TaskId};
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
    /// Following what comes behind `read`; the position of the last item told.
    Feed {
        follower: Follower,
        read: StoryId,
        position: u64,
    },
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
    let (phase, ready) = open(&handle, task, after, output).await?;
    Ok(told(Watch { handle, task, output, after, ready, phase }))
}

/// Attaches to a task that isn't there yet: all of its story comes by the feed, and nothing has to be read.
pub(super) async fn expect(
    handle: Handle,
    task: TaskId,
    output: bool,
) -> Result<impl Stream<Item = Result<StoryItem>> + Send + use<>> {
    let Attached { bound, follower } = handle.attach(task).await?;
    let (after, ready) = (StoryId::default(), VecDeque::new());
    let phase = match bound {
        None => Phase::Feed { follower, read: after, position: 0 },
        // It is there, after all.
        Some(_) => Phase::Behind,
    };
    Ok(told(Watch { handle, task, output, after, ready, phase }))
}

fn told(watch: Watch) -> impl Stream<Item = Result<StoryItem>> + Send + use<> {
    stream::try_unfold(watch, async |mut watch| Ok(watch.next().await?.map(|item| (item, watch))))
}

/// Attaches, then opens the script and reads on from `after`: in this order nothing falls in between.
///
/// One blocking step where it can be: each costs two changes of threads, which is what a short task's watcher waits for.
async fn open(handle: &Handle, task: TaskId, after: StoryId, output: bool) -> Result<(Phase, VecDeque<StoryItem>)> {
    let Attached { bound, mut follower } = handle.attach(task).await?;
    let read = move |h: &Handle| {
        let record = h.read_record(task)?;
        let upto = bound.unwrap_or_else(|| end(&record));
        begin(h, &record, after, upto, output).map(|begun| (record, begun))
    };
    let (record, begun) = handle.blocking(read).await??;
    let begun = if bound.is_some() {
        Some(begun)
    } else {
        confirm(handle, record, begun, &mut follower, after, output).await?
    };
    Ok(match begun {
        Some((script, items)) => (Phase::Script(Box::new(script), follower), items.into()),
        None => (Phase::Behind, VecDeque::new()),
    })
}

/// What was read up to the record's end, if the actor knew nothing of the task and it may be read so far; otherwise it is read
/// again. `None`: attach again.
pub(super) async fn confirm(
    handle: &Handle,
    record: Task,
    begun: (Script, Vec<StoryItem>),
    follower: &mut Follower,
    after: StoryId,
    output: bool,
) -> Result<Option<(Script, Vec<StoryItem>)>> {
    Ok(match unknown(handle, &record, follower).await? {
        Some(bound) if bound == end(&record) => Some(begun),
        Some(bound) => Some(handle.blocking(move |h| begin(h, &record, after, bound, output)).await??),
        None => None,
    })
}

/// The end of a story that nobody goes on telling.
pub(super) fn end(record: &Task) -> StoryId {
    StoryId { event: record.events, frame: 0 }
}

/// The script, and its first items.
pub(super) fn begin(
    handle: &Handle,
    record: &Task,
    after: StoryId,
    bound: StoryId,
    output: bool,
) -> Result<(Script, Vec<StoryItem>)> {
    let mut script = Script::open(handle.store.as_ref(), &handle.output, record, after, bound, output)?;
    let items = script.next()?;
    Ok((script, items))
}

/// How far the store may be read if the actor knew nothing of the task: nothing was running then. `None`: attach again.
///
/// What the record has, unless the feed has begun to tell of it: then an attempt may have begun since, whose output comes
/// between events that the record has already. All that could make output was published before the record was read, or
/// isn't published yet and made none; so what the feed has told once the actor has caught up is the whole truth.
pub(super) async fn unknown(handle: &Handle, record: &Task, follower: &mut Follower) -> Result<Option<StoryId>> {
    handle.sync().await?;
    Ok(match follower.first() {
        First::Nothing => Some(end(record)),
        First::Item(id) => Some(StoryId { event: id.event.saturating_sub(1), frame: 0 }),
        First::Lost => None,
    })
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
                Phase::Feed { follower, read, position } => self.follow(follower, read, position).await,
                Phase::Behind => {
                    (self.phase, self.ready) = open(&self.handle, self.task, self.after, self.output).await?;
                }
                Phase::Over => {
                    self.phase = Phase::Over;
                    return Ok(None);
                }
            }
        }
    }

    async fn read(&mut self, mut script: Box<Script>, follower: Follower) -> Result<()> {
        if script.exhausted {
            self.phase = if script.whole {
                Phase::Over
            } else {
                Phase::Feed { follower, read: script.bound, position: script.position }
            };
            return Ok(());
        }
        let (script, items) = self
            .handle
            .blocking(move |_| {
                let items = script.next();
                (script, items)
            })
            .await?;
        self.ready = items?.into();
        self.phase = Phase::Script(script, follower);
        Ok(())
    }

    async fn follow(&mut self, mut follower: Follower, read: StoryId, position: u64) {
        // `None` leaves the reader behind.
        let Some(item) = follower.next().await else { return };
        if item.id <= read {
            self.phase = Phase::Feed { follower, read, position };
            return;
        }
        let sequence = position + 1;
        let position = sequence;
        self.phase = if is_final(&item.told) { Phase::Over } else { Phase::Feed { follower, read, position } };
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
