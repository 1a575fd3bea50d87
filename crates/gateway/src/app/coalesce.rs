//! Single submits that come while one is under way travel together in the next one.
//!
//! One loop owns the queue; callers hold a [`Submitter`] (MEASURED: 64 clients at once submit twice as many tasks so).

use super::{Ids, Patience};
use crate::upstream::Upstream;
use domain::{Error, Kind, Result};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wire::v1::{SubmitEntry, TaskAccepted};

/// Tasks that wait for the call under way. When it is full, callers are told so (RESOURCE_EXHAUSTED).
const QUEUE_TASKS: usize = 16_384;
/// KiB of the tasks that wait or travel alone, in all: with payloads of 1 MiB the number alone would bound nothing.
const QUEUE_KIB: usize = 64 * 1024;
/// Tasks in one call: one commit of this size takes milliseconds.
const CALL_TASKS: usize = 1_000;
/// Bytes in one call, well below what a message may have.
const CALL_BYTES: usize = 2 * 1024 * 1024;

struct Waiting {
    entry: SubmitEntry,
    bytes: usize,
    reply: oneshot::Sender<Result<TaskAccepted>>,
    _room: OwnedSemaphorePermit,
}

/// The callers' end.
#[derive(Clone, Debug)]
pub(crate) struct Submitter {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// The loop's end.
#[derive(Debug)]
pub(crate) struct Submissions {
    queue: mpsc::Receiver<Waiting>,
    patience: Patience,
    ids: Arc<Ids>,
}

pub(crate) fn channel(patience: Patience, ids: Arc<Ids>) -> (Submitter, Submissions) {
    let (sender, receiver) = mpsc::channel(QUEUE_TASKS);
    let submitter = Submitter { queue: sender, room: Arc::new(Semaphore::new(QUEUE_KIB)) };
    (submitter, Submissions { queue: receiver, patience, ids })
}

impl Submitter {
    /// Returns when the task is on disk, or why it isn't.
    pub(crate) async fn submit(&self, entry: SubmitEntry) -> Result<TaskAccepted> {
        let bytes = entry.encoded_len();
        let room = self.room(bytes)?;
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Waiting { entry, bytes, reply, _room: room }).map_err(|_| full())?;
        // The loop answers everything it takes; it ends only with the service.
        answer.await.unwrap_or_else(|_| Err(Error::new(Kind::Unknown, "the gateway is stopping")))
    }

    /// Room for a task of so many bytes, as long as it is held.
    pub(crate) fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes / 1024 + 1).map_err(|_| full())?;
        Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| full())
    }
}

fn full() -> Error {
    Error::new(Kind::Exhausted, "too many submits are waiting: try again in a moment")
}

impl Submissions {
    /// Runs until all callers' ends are gone.
    pub(crate) async fn run(mut self, upstream: Upstream) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(first) => first,
                None => match self.queue.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let (batch, left) = self.gather(first);
            next = left;
            send(&upstream, batch, self.patience.is_worthwhile(), &self.ids).await;
        }
    }

    /// What waits already, as far as it fits into one call; and the first that doesn't.
    fn gather(&mut self, first: Waiting) -> (Vec<Waiting>, Option<Waiting>) {
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < CALL_TASKS {
            match self.queue.try_recv() {
                Ok(more) if bytes + more.bytes <= CALL_BYTES => {
                    bytes += more.bytes;
                    batch.push(more);
                }
                Ok(more) => return (batch, Some(more)),
                Err(_) => break,
            }
        }
        (batch, None)
    }
}

async fn send(upstream: &Upstream, batch: Vec<Waiting>, patient: bool, ids: &Ids) {
    // A caller that went away before its task was sent has not submitted it.
    let batch: Vec<_> = batch.into_iter().filter(|waiting| !waiting.reply.is_closed()).collect();
    if batch.is_empty() {
        return;
    }
    let entries = batch.iter().map(|waiting| waiting.entry.clone()).collect();
    let accepted = upstream.submit(entries, false, patient, ids).await;
    match accepted.and_then(|all| all.into_iter().map(wire::unpack_accepted).collect::<Result<Vec<_>>>()) {
        Ok(accepted) => {
            // Of those accepted together the last one has the receipt; these callers don't know each other.
            let receipt = accepted.last().map(|last| last.receipt.clone()).unwrap_or_default();
            for (waiting, accepted) in batch.into_iter().zip(accepted) {
                answer(waiting, Ok(TaskAccepted { receipt: receipt.clone(), ..accepted }));
            }
        }
        // A call is all or none, but its callers don't know each other: each is asked for alone.
        Err(error) if batch.len() > 1 && is_about_one(&error) => {
            let alone = batch.into_iter().map(|waiting| async move {
                let accepted = upstream.submit_one(waiting.entry.clone(), patient, ids).await;
                answer(waiting, accepted);
            });
            alone.collect::<FuturesUnordered<_>>().collect::<()>().await;
        }
        Err(error) => {
            for waiting in batch {
                answer(waiting, Err(error.clone()));
            }
        }
    }
}

/// A caller that is gone doesn't want to know.
fn answer(waiting: Waiting, result: Result<TaskAccepted>) {
    let _ = waiting.reply.send(result);
}

/// Whether the error is about one of the tasks and says nothing about the others.
fn is_about_one(error: &Error) -> bool {
    match error.kind() {
        Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Precondition | Kind::Denied => true,
        Kind::Unauthenticated
        | Kind::Exhausted
        | Kind::Unavailable
        | Kind::Unknown
        | Kind::DataLoss
        | Kind::Internal => false,
    }
}
