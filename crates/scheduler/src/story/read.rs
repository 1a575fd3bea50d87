//! Read: the bytes of one stream of one attempt, part of the story or not, from an offset to the attempt's end.

use super::feed::{Follower, Told};
use super::{Handle, damaged, unreadable};
use domain::{AttemptId, AttemptNo, Error, EventKind, Frame, Kind, Result, StreamName, TaskId};
use futures_util::{Stream, stream};
use std::collections::VecDeque;

/// Frames looked at in one blocking step.
const FRAMES: usize = 64;
/// Bytes read in one blocking step.
const BYTES: usize = 1024 * 1024;

/// One reader.
struct Read {
    handle: Handle,
    task: TaskId,
    stream: StreamName,
    follow: bool,
    /// `None`: the latest, once there is one.
    attempt: Option<AttemptNo>,
    /// Everything before is read.
    offset: u64,
    /// Frames of the output store up to this one are read or passed over.
    reached: u64,
    ready: VecDeque<Frame>,
    phase: Phase,
}

enum Phase {
    /// To attach, if it follows.
    Begin,
    /// Reading what is stored.
    Stored(Option<Follower>),
    Feed(Follower),
    Over,
}

/// One look into the stores.
struct Look {
    attempt: Option<AttemptNo>,
    frames: Vec<Frame>,
    reached: u64,
    /// Nothing more is stored.
    exhausted: bool,
    /// Nothing more will be.
    ended: bool,
}

pub(super) async fn read(
    handle: Handle,
    task: TaskId,
    stream: StreamName,
    offset: u64,
    attempt: Option<AttemptNo>,
    follow: bool,
) -> Result<impl Stream<Item = Result<Frame>> + Send + use<>> {
    let (ready, phase) = (VecDeque::new(), Phase::Begin);
    let mut read = Read { handle, task, stream, follow, attempt, offset, reached: 0, ready, phase };
    // The first look before anything is answered: an unknown task is an error of the call.
    read.step().await?;
    Ok(stream::try_unfold(read, async |mut read| Ok(read.next().await?.map(|frame| (frame, read)))))
}

impl Read {
    async fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            if matches!(self.phase, Phase::Over) {
                return Ok(None);
            }
            self.step().await?;
        }
    }

    async fn step(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.phase, Phase::Begin) {
            Phase::Begin => {
                let follower = if self.follow { Some(self.handle.attach(self.task).await?.follower) } else { None };
                self.look(follower).await
            }
            Phase::Stored(follower) => self.look(follower).await,
            Phase::Feed(follower) => {
                self.hear(follower).await;
                Ok(())
            }
            Phase::Over => {
                self.phase = Phase::Over;
                Ok(())
            }
        }
    }

    async fn look(&mut self, follower: Option<Follower>) -> Result<()> {
        let (task, attempt, stream) = (self.task, self.attempt, self.stream);
        let (offset, reached) = (self.offset, self.reached);
        let look = self.handle.blocking(move |h| look(h, task, attempt, stream, offset, reached)).await??;
        let Look { attempt, frames, reached, exhausted, ended } = look;
        (self.attempt, self.reached) = (attempt, reached);
        for frame in frames {
            self.take(frame);
        }
        self.phase = match follower {
            follower if !exhausted => Phase::Stored(follower),
            Some(follower) if !ended => Phase::Feed(follower),
            Some(_) | None => Phase::Over,
        };
        Ok(())
    }

    async fn hear(&mut self, mut follower: Follower) {
        // `None`: the feed was lost; what it would have told is stored.
        let Some(item) = follower.next().await else { return };
        self.phase = Phase::Feed(follower);
        match item.told {
            Told::Output(frame) => {
                if Some(frame.attempt.no) == self.attempt && frame.stream == self.stream {
                    self.take((*frame).clone());
                }
            }
            Told::Event(event) => {
                let ours = Some(AttemptNo(event.attempt)) == self.attempt;
                match event.kind {
                    EventKind::Dispatched(_) if self.attempt.is_none() => {
                        self.attempt = Some(AttemptNo(event.attempt));
                    }
                    EventKind::AttemptEnded(..) if ours => self.phase = Phase::Over,
                    EventKind::Finished(..) => self.phase = Phase::Over,
                    EventKind::Accepted
                    | EventKind::Begun
                    | EventKind::Dispatched(_)
                    | EventKind::Started(_)
                    | EventKind::Progressed(_)
                    | EventKind::CancelRequested
                    | EventKind::AttemptEnded(..) => {}
                }
            }
        }
    }

    /// Takes a frame if it reaches beyond what is read.
    fn take(&mut self, frame: Frame) {
        let end = frame.offset.saturating_add(frame.length());
        if end > self.offset {
            self.offset = end;
            self.ready.push_back(frame);
        }
    }
}

fn look(
    handle: &Handle,
    task: TaskId,
    attempt: Option<AttemptNo>,
    stream: StreamName,
    offset: u64,
    reached: u64,
) -> Result<Look> {
    // Whether it has ended is read first: then everything it wrote is found after.
    let record = handle.store.task(task).map_err(|f| unreadable(&f))?.ok_or_else(|| Error::no_task(task))?;
    let no = attempt.or(record.latest().map(|latest| latest.no));
    let Some(no) = no else {
        let ended = record.state.is_final();
        return Ok(Look { attempt: None, frames: Vec::new(), reached, exhausted: true, ended });
    };
    let Some(found) = record.attempts().find(|attempt| attempt.no == no) else {
        return Err(Error::new(Kind::NotFound, format!("task {task} has no attempt {no}")));
    };
    let ended = found.ended.is_some();
    let attempt = AttemptId { task, no };
    let (mut frames, reached, exhausted) = stored(handle, attempt, stream, offset, reached)?;
    if exhausted {
        let last = handle.output.totals(attempt).frames;
        let tails = handle.store.tails(task).map_err(|f| unreadable(&f))?.into_iter().map(|(_, frame)| frame);
        frames.extend(tails.filter(|f| f.attempt == attempt && f.stream == stream && f.number > last));
    }
    Ok(Look { attempt: Some(no), frames, reached, exhausted, ended })
}

/// The next frames of the output store, how far it was read, and whether that was its end.
fn stored(
    handle: &Handle,
    attempt: AttemptId,
    stream: StreamName,
    offset: u64,
    reached: u64,
) -> Result<(Vec<Frame>, u64, bool)> {
    let begin = handle.output.frame_at(attempt, stream, offset).map_or(0, |entry| entry.number - 1);
    let mut reached = reached.max(begin);
    let entries = handle.output.entries(attempt, reached, FRAMES);
    let (mut frames, mut bytes) = (Vec::new(), 0);
    for entry in &entries {
        if bytes >= BYTES {
            return Ok((frames, reached, false));
        }
        reached = entry.number;
        if entry.stream == stream {
            let frame = handle.output.read(entry.place).map_err(|e| damaged(&e))?.frame;
            bytes += frame.data.len();
            frames.push(frame);
        }
    }
    Ok((frames, reached, entries.len() < FRAMES))
}
