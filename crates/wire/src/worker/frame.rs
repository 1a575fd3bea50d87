//! Output frames and their acknowledgements.

use super::attempt_id;
use crate::{output::stream_name, v1};
use bytes::Bytes;
use domain::{AttemptId, Error, Frame, FrameNo, Result, Totals, UnixMillis, limits};

/// Data of fewer bytes leave the message that they came in, so that a line that is kept doesn't keep all of it in memory.
const ALONE: usize = 4096;

/// Reads a frame.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field; also for a frame that is too long, or that carries data and a gap.
pub fn frame(wire: v1::OutputFrame) -> Result<Frame> {
    let v1::OutputFrame { task_id, attempt, number, stream, offset, at_ms, data, dropped } = wire;
    if number == 0 {
        return Err(Error::field("number", "must be at least 1"));
    }
    if data.len() > limits::FRAME_BYTES {
        return Err(Error::field("data", format!("is over {} bytes", limits::FRAME_BYTES)));
    }
    if dropped > 0 && !data.is_empty() {
        return Err(Error::field("dropped", "must be 0 where there is data"));
    }
    if offset.checked_add(dropped).and_then(|end| end.checked_add(data.len() as u64)).is_none() {
        return Err(Error::field("offset", "is out of range"));
    }
    Ok(Frame {
        attempt: attempt_id(&task_id, attempt)?,
        number,
        stream: stream_name(stream)?,
        offset,
        at: UnixMillis(at_ms),
        data: if data.len() < ALONE { Bytes::copy_from_slice(&data) } else { data },
        dropped,
    })
}

/// A frame as it travels.
pub fn v1_frame(frame: Frame) -> v1::OutputFrame {
    let Frame { attempt: AttemptId { task, no }, number, stream, offset, at, data, dropped } = frame;
    v1::OutputFrame {
        task_id: task.to_string(),
        attempt: no.0,
        number,
        stream: v1::OutputStream::from(stream).into(),
        offset,
        at_ms: at.0,
        data,
        dropped,
    }
}

/// Reads an acknowledgement: frames of this attempt up to this one are stored.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn ack(wire: v1::OutputAck) -> Result<(AttemptId, FrameNo)> {
    let v1::OutputAck { task_id, attempt, number } = wire;
    Ok((attempt_id(&task_id, attempt)?, number))
}

/// An acknowledgement as it travels.
pub fn v1_ack(attempt: AttemptId, number: FrameNo) -> v1::OutputAck {
    let AttemptId { task, no } = attempt;
    v1::OutputAck { task_id: task.to_string(), attempt: no.0, number }
}

impl From<Totals> for v1::OutputTotals {
    fn from(totals: Totals) -> Self {
        let Totals { frames, stdout, stderr } = totals;
        Self { frames, stdout_bytes: stdout, stderr_bytes: stderr }
    }
}

impl From<v1::OutputTotals> for Totals {
    fn from(wire: v1::OutputTotals) -> Self {
        let v1::OutputTotals { frames, stdout_bytes, stderr_bytes } = wire;
        Self { frames, stdout: stdout_bytes, stderr: stderr_bytes }
    }
}
