//! The story of a task: the merge of its events and its output, the same for every reader for ever (PROTOCOL P2).
//!
//! One actor places arriving frames behind the last event of their task and tells both, in one order, to whoever
//! follows; whoever comes later finds the same order in the stores. Nothing is told that isn't durable, and no reader,
//! however slow, holds up the actor.

mod actor;
mod bounded;
mod feed;
mod inlet;
mod line;
mod pen;
mod read;
mod script;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

pub use feed::Told;
pub use inlet::{Inlet, Stored};
pub use watch::StoryItem;

use crate::disk::Disk;
use crate::mailbox::{self, Message};
use actor::{Actor, Attached, Command};
use domain::{AttemptId, AttemptNo, Event, Frame, FrameNo, Incarnation, Result, StoryId, StreamName, Tail, Task};
use domain::{Error, Kind, TaskId, WorkerId};
use futures_util::Stream;
use inlet::{ROOM_BYTES, stopping};
use output::{Output, OutputReader, segment::SegmentStore};
use pen::Pen;
use std::{io, path::Path, sync::Arc};
use store::{Failure, Reader};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Commands that wait at most: batches of events, messages of output, readers that attach. One queue for all, so that
/// what was sent first comes first. When it is full senders wait, the loop too; the actor waits for nobody, so not long.
const COMMANDS: usize = 256;

/// Holders may publish, put output in, and read stories.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
    store: Arc<dyn Reader>,
    output: Arc<dyn OutputReader>,
}

/// Opens the output store under the data directory and starts its thread. The future is the actor: it must run.
///
/// # Errors
/// The output store cannot be opened, or a durable record in it is damaged.
pub(crate) fn start(
    data_dir: &Path,
    store: Arc<dyn Reader>,
    disk: Arc<Disk>,
    mailbox: mailbox::Handle,
) -> io::Result<(Handle, impl Future<Output = ()> + Send + 'static)> {
    let output = SegmentStore::open(&data_dir.join("output"))?;
    let reader = output.reader();
    // Waiting for a full mailbox holds up output, not the loop: that never waits for this thread.
    assemble(Box::new(bounded::Bounded { output, disk }), reader, store, move |attempt, frames| {
        // Nobody reads when the scheduler is stopping.
        let _ = mailbox.put_from_thread(Message::Stored { attempt, frames });
    })
}

/// Puts handle and actor together. `stored` is called on the output thread after each sync.
fn assemble(
    output: Box<dyn Output>,
    reader: Arc<dyn OutputReader>,
    store: Arc<dyn Reader>,
    stored: impl FnMut(AttemptId, FrameNo) + Send + 'static,
) -> io::Result<(Handle, impl Future<Output = ()> + Send + 'static)> {
    let (commands, orders) = mpsc::channel(COMMANDS);
    let actor = Actor::new(Arc::clone(&reader), Pen::start(output, stored)?);
    let room = Arc::new(Semaphore::new(ROOM_BYTES));
    Ok((Handle { commands, room, store, output: reader }, actor.run(orders)))
}

impl Handle {
    /// Publishes committed events, each with the frames that were committed before it, in order of their commits. An
    /// attempt's dispatch must be published before its worker is told of it.
    pub async fn publish(&self, events: Vec<(Event, Tail)>) {
        // The actor ends only with the process.
        let _ = self.commands.send(Command::Publish(events)).await;
    }

    /// Begins a new reign with every task that runs.
    pub async fn reset(&self, tasks: Vec<Task>) {
        let _ = self.commands.send(Command::Reset(tasks)).await;
    }

    /// How far an attempt's output is durable.
    pub fn stored(&self, attempt: AttemptId) -> FrameNo {
        self.output.totals(attempt).frames
    }

    /// The way in for the output of one worker's stream.
    pub fn inlet(&self, worker: WorkerId, incarnation: Incarnation) -> Inlet {
        Inlet::new(self.clone(), worker, incarnation)
    }

    /// The story of a task behind `after`, and on until its end; without `output` only its events, with the same ids and
    /// sequence numbers.
    ///
    /// # Errors
    /// [`domain::Kind::NotFound`]; in the stream also [`domain::Kind::Unavailable`] and [`domain::Kind::Internal`].
    pub async fn watch(
        &self,
        task: TaskId,
        after: StoryId,
        output: bool,
    ) -> Result<impl Stream<Item = Result<StoryItem>> + Send + use<>> {
        watch::watch(self.clone(), task, after, output).await
    }

    /// As [`Handle::watch`] from the beginning, for a task that will be submitted, which must not be known yet. Whoever asks
    /// before the task is handed to the loop hears its story as it is told, without a look into the stores.
    ///
    /// # Errors
    /// [`domain::Kind::Unavailable`]; in the stream as for [`Handle::watch`].
    pub async fn expect(
        &self,
        task: TaskId,
        output: bool,
    ) -> Result<impl Stream<Item = Result<StoryItem>> + Send + use<>> {
        watch::expect(self.clone(), task, output).await
    }

    /// The frames of one stream that reach beyond `offset`, of this attempt or the latest, in order; with `follow` on
    /// until the attempt has ended, waiting for the first one if need be. The first frame may begin before `offset`.
    ///
    /// # Errors
    /// [`domain::Kind::NotFound`]: no such task or attempt; in the stream as for [`Handle::watch`].
    pub async fn read_output(
        &self,
        task: TaskId,
        stream: StreamName,
        offset: u64,
        attempt: Option<AttemptNo>,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Frame>> + Send + use<>> {
        read::read(self.clone(), task, stream, offset, attempt, follow).await
    }

    async fn attach(&self, task: TaskId) -> Result<Attached> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Attach(task, reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// Returns when everything that was published before is told to those who are attached.
    async fn sync(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.commands.send(Command::Sync(reply)).await.map_err(|_| stopping())?;
        done.await.map_err(|_| stopping())
    }

    /// Reads a task's record; blocks.
    fn read_record(&self, task: TaskId) -> Result<Task> {
        self.store.task(task).map_err(|f| unreadable(&f))?.ok_or_else(|| Error::no_task(task))
    }

    /// Does something that blocks, off the event loop.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> Result<T> {
        let handle = self.clone();
        tokio::task::spawn_blocking(move || work(&handle)).await.map_err(|_| stopping())
    }
}

/// A store that can't be read: detail for the log only.
fn unreadable(failure: &Failure) -> Error {
    tracing::error!(error = %failure, "Story cannot be read");
    Error::internal("the store could not be read")
}

/// Output that can't be read.
fn damaged(error: &io::Error) -> Error {
    tracing::error!(%error, "Output cannot be read");
    match error.kind() {
        // Which segment and where: these bytes were acknowledged, and are gone.
        io::ErrorKind::InvalidData => Error::new(Kind::DataLoss, error.to_string()),
        _ => Error::internal("stored output could not be read"),
    }
}
