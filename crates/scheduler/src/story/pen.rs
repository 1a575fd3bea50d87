//! The thread that writes output: one batch at a time, one sync a batch, again and again until it succeeds.

use domain::{AttemptId, FrameNo};
use output::{Output, Placed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::{collections::BTreeMap, io, thread, thread::JoinHandle, time::Duration};
use tokio::sync::mpsc;

/// Pause after a failed write: a full disk heals by itself, but not at once.
const PAUSE: Duration = Duration::from_millis(200);

/// A batch that was handed over: stored, or refused for what is in it.
pub(super) struct Written {
    pub frames: Vec<Placed>,
    pub stored: bool,
}

/// What the thread is to do.
enum Work {
    /// Write these.
    Frames(Vec<Placed>),
    /// Delete these segments.
    Expire(Vec<u64>),
}

/// The actor's end of the thread.
pub(super) struct Pen {
    /// Holds one batch; the actor hands over the next only after the answer to the last, so it is never full.
    /// `None` only while it is dropped.
    batches: Option<SyncSender<Work>>,
    pub written: mpsc::Receiver<Written>,
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Pen {
    /// Starts the thread. `stored` is called on it for each attempt after each sync; it may block.
    pub fn start(output: Box<dyn Output>, stored: impl FnMut(AttemptId, FrameNo) + Send + 'static) -> io::Result<Self> {
        let (batches, queue) = sync_channel(1);
        let (answers, written) = mpsc::channel(1);
        let thread = thread::Builder::new().name("output-writer".into());
        let thread = thread.spawn(move || write(output, &queue, &answers, stored))?;
        Ok(Self { batches: Some(batches), written, busy: false, thread: Some(thread) })
    }

    /// Whether nothing is being written.
    pub fn is_free(&self) -> bool {
        !self.busy
    }

    /// Hands over what waits, output first, if the thread is free and anything does. False: the thread is gone.
    pub fn hand_over(&mut self, waiting: &mut Vec<Placed>, expired: &mut Vec<u64>) -> bool {
        if self.busy || waiting.is_empty() && expired.is_empty() {
            return true;
        }
        self.busy = true;
        let output = !waiting.is_empty();
        let work = if output { Work::Frames(std::mem::take(waiting)) } else { Work::Expire(std::mem::take(expired)) };
        self.batches.as_ref().is_some_and(|batches| batches.try_send(work).is_ok())
    }

    /// The answer to the batch handed over came.
    pub fn answered(&mut self) {
        self.busy = false;
    }
}

impl Drop for Pen {
    /// Waits for the batch that is being written, so that nobody writes after the data directory is free again.
    fn drop(&mut self) {
        self.batches = None;
        self.written.close();
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            drop(thread.join());
        }
    }
}

fn write(
    mut output: Box<dyn Output>,
    queue: &Receiver<Work>,
    answers: &mpsc::Sender<Written>,
    mut stored: impl FnMut(AttemptId, FrameNo),
) {
    while let Ok(work) = queue.recv() {
        let frames = match work {
            Work::Frames(frames) => frames,
            Work::Expire(segments) => {
                if let Err(error) = output.expire(&segments) {
                    // They are found again after the next walk.
                    tracing::error!(%error, "Expired output cannot be deleted");
                }
                Vec::new()
            }
        };
        let Some(done) = append(output.as_mut(), &frames, queue) else { return };
        let mut last = BTreeMap::new();
        if done {
            crate::gauges::stored_bytes(frames.iter().map(|placed| placed.frame.data.len() as u64).sum());
            last.extend(frames.iter().map(|placed| (placed.frame.attempt, placed.frame.number)));
        }
        // The story first: the engine may end the task on the word that follows, and that event comes after the frames.
        if answers.blocking_send(Written { frames, stored: done }).is_err() {
            return;
        }
        for (attempt, number) in last {
            stored(attempt, number);
        }
    }
}

/// One line in so many tries: a full disk lasts for hours, and its log may stand on it.
const SAY_EVERY: u32 = 150;

/// Writes until it succeeds; false if the frames themselves are refused, `None` if nobody waits any more.
fn append(output: &mut dyn Output, frames: &[Placed], queue: &Receiver<Work>) -> Option<bool> {
    for tries in 0_u32.. {
        let error = match output.append(frames) {
            Ok(()) => return Some(true),
            Err(error) => error,
        };
        if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) {
            tracing::error!(%error, "Output refused");
            return Some(false);
        }
        if tries % SAY_EVERY == 0 {
            tracing::error!(%error, tries, "Output cannot be stored; trying again");
        }
        match queue.recv_timeout(PAUSE) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}
