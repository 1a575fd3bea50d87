//! The way in for a worker's output: only attempts that the worker holds or held, and only as much as there is room for.

use super::Handle;
use super::actor::{Arrived, Command};
use domain::{AttemptId, Error, Frame, Incarnation, Kind, Result, WorkerId};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::oneshot;

/// Bytes of output that may be under way to the disk, of all workers together. When they are, streams are not read on.
pub(super) const ROOM_BYTES: usize = 16 * 1024 * 1024;
/// What a frame costs in memory besides its data.
const FRAME_COST: usize = 256;
/// Attempts of a stream whose holder is remembered; beyond that they are looked up again.
const KNOWN: usize = 10_000;

/// The output stream of one worker.
pub struct Inlet {
    story: Handle,
    worker: WorkerId,
    incarnation: Incarnation,
    /// Attempts, and whether this worker may write their output.
    known: BTreeMap<AttemptId, bool>,
}

/// Resolves when the frames of one message are durable.
pub type Stored = oneshot::Receiver<Result<()>>;

impl Inlet {
    pub(super) fn new(story: Handle, worker: WorkerId, incarnation: Incarnation) -> Self {
        Self { story, worker, incarnation, known: BTreeMap::new() }
    }

    /// Takes frames, waiting for room; what it returns resolves when they are durable and may be acknowledged. Frames of
    /// attempts that this worker never held are dropped with a warning, and count as durable: nobody will ever want them.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if the store can't be read or the service is stopping.
    pub async fn put(&mut self, frames: Vec<Frame>) -> Result<Stored> {
        self.look_up(&frames).await?;
        let frames: Vec<Frame> =
            frames.into_iter().filter(|frame| self.known.get(&frame.attempt) == Some(&true)).collect();
        let bytes: usize = frames.iter().map(|frame| frame.data.len() + FRAME_COST).sum();
        let permits = u32::try_from(bytes.min(ROOM_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.story.room).acquire_many_owned(permits).await.map_err(|_| stopping())?;
        let (done, stored) = oneshot::channel();
        self.story.commands.send(Command::Arrived(Arrived { frames, room, done })).await.map_err(|_| stopping())?;
        Ok(stored)
    }

    /// Asks the store about attempts not seen before: their dispatch is committed before their worker hears of it.
    async fn look_up(&mut self, frames: &[Frame]) -> Result<()> {
        if self.known.len() > KNOWN {
            self.known.clear();
        }
        for frame in frames {
            let attempt = frame.attempt;
            if self.known.contains_key(&attempt) {
                continue;
            }
            let task = self.story.blocking(move |handle| handle.store.task(attempt.task)).await?;
            let task = task.map_err(|error| Error::new(Kind::Unavailable, error.to_string()))?;
            let held = task.is_some_and(|task| {
                let mut attempts = task.attempts();
                attempts.any(|a| a.no == attempt.no && a.worker == self.worker && a.incarnation == self.incarnation)
            });
            if !held {
                tracing::warn!(task_id = %attempt.task, attempt = attempt.no.0, worker = %self.worker,
                    "Output refused: the worker never held this attempt");
            }
            self.known.insert(attempt, held);
        }
        Ok(())
    }
}

pub(super) fn stopping() -> Error {
    Error::unavailable("the scheduler is stopping")
}
