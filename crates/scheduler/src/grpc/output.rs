//! Output: in from workers, out to readers.

use super::{Bound, Door, Out};
use crate::story::{Inlet, Stored};
use domain::{AttemptId, AttemptNo, Error, Frame, FrameNo, Incarnation, Result, WorkerId, limits};
use futures_util::{Stream, StreamExt as _, stream};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use wire::v1;

/// Messages of one worker that wait for the disk at most; beyond that its stream isn't read on.
const UNDER_WAY: usize = 64;

/// Frames of one message: what to acknowledge once they are durable.
type Pending = (BTreeMap<AttemptId, FrameNo>, Stored);

/// Takes a worker's output, and acknowledges what is durable.
pub(super) fn take(door: &Door, from: Streaming<v1::OutputFrames>, bound: Bound) -> Out<v1::OutputAcks> {
    let (pending, acks) = mpsc::channel(UNDER_WAY);
    let (failed, failure) = mpsc::channel(1);
    let door = door.clone();
    let stopping = door.stopping.clone();
    tokio::spawn(async move {
        if let Err(error) = read(&door, from, pending, &bound).await {
            super::refused("output", &error);
            // The worker hears of it unless it has gone.
            let _ = failed.send(Err(wire::status(&error))).await;
        }
    });
    let acks = ReceiverStream::new(acks).filter_map(acknowledge);
    Box::pin(stopping.until(stream::select(acks, ReceiverStream::new(failure))))
}

/// Reads until the stream ends; ends as well when its acknowledgements go nowhere.
async fn read(
    door: &Door,
    mut from: Streaming<v1::OutputFrames>,
    pending: mpsc::Sender<Pending>,
    bound: &Bound,
) -> Result<()> {
    let mut inlet: Option<Inlet> = None;
    while let Some(Ok(message)) = from.next().await {
        let v1::OutputFrames { worker_id, incarnation, frames } = message;
        bound.check(&worker_id)?;
        if frames.len() > limits::REPORTS {
            return Err(Error::field("frames", format!("has over {} entries", limits::REPORTS)));
        }
        let frames = frames.into_iter().map(wire::worker::frame).collect::<Result<Vec<Frame>>>()?;
        let inlet = inlet.get_or_insert_with(|| {
            door.story.inlet(WorkerId::new(&worker_id), Incarnation(incarnation.as_str().into()))
        });
        let mut last = BTreeMap::new();
        for frame in &frames {
            last.insert(frame.attempt, frame.number);
        }
        let stored = inlet.put(frames).await?;
        if pending.send((last, stored)).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn acknowledge((last, stored): Pending) -> Option<std::result::Result<v1::OutputAcks, Status>> {
    match stored.await {
        Ok(Ok(())) => {
            let acks = last.into_iter().map(|(attempt, number)| wire::worker::v1_ack(attempt, number)).collect();
            Some(Ok(v1::OutputAcks { acks }))
        }
        Ok(Err(error)) => Some(Err(wire::status(&error))),
        Err(_) => Some(Err(wire::status(&Error::unavailable("the scheduler is stopping")))),
    }
}

/// The bytes of one stream from an offset.
pub(super) async fn read_output(
    door: &Door,
    request: v1::ReadOutputRequest,
) -> Result<impl Stream<Item = Result<v1::OutputChunk>> + Send + use<>> {
    let v1::ReadOutputRequest { task_id, stream, offset, follow, attempt } = request;
    let task = wire::task_id(&task_id)?;
    let stream = wire::stream_name(stream)?;
    let attempt = (attempt != 0).then_some(AttemptNo(attempt));
    let frames = door.story.read_output(task, stream, offset, attempt, follow).await?;
    // Of the first frame, only what lies behind the offset.
    Ok(frames.filter_map(move |frame| std::future::ready(frame.map(|frame| wire::chunk(frame, offset)).transpose())))
}
