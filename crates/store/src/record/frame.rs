//! The tail of an attempt's output: its frames in one record.

use super::Unreadable;
use bytes::Bytes;
use domain::{AttemptId, Frame, StreamName, UnixMillis};
use prost::Message;

#[derive(Clone, PartialEq, prost::Message)]
struct TailRecord {
    #[prost(message, repeated, tag = "1")]
    frames: Vec<FrameRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FrameRecord {
    #[prost(uint64, tag = "1")]
    number: u64,
    /// 1 stdout, 2 stderr.
    #[prost(uint32, tag = "2")]
    stream: u32,
    #[prost(uint64, tag = "3")]
    offset: u64,
    #[prost(int64, tag = "4")]
    at_ms: i64,
    #[prost(bytes = "bytes", tag = "5")]
    data: Bytes,
    #[prost(uint64, tag = "6")]
    dropped: u64,
}

/// The frames, without their attempt, which the row names.
pub(crate) fn encode_frames(frames: &[Frame]) -> Vec<u8> {
    TailRecord { frames: frames.iter().map(Into::into).collect() }.encode_to_vec()
}

/// The frames of `attempt`.
pub(crate) fn decode_frames(attempt: AttemptId, bytes: &[u8]) -> Result<Vec<Frame>, Unreadable> {
    TailRecord::decode(bytes)?.frames.into_iter().map(|record| record.frame(attempt)).collect()
}

impl From<&Frame> for FrameRecord {
    fn from(frame: &Frame) -> Self {
        let Frame { attempt: _, number, stream, offset, at, data, dropped } = frame;
        let stream = match stream {
            StreamName::Stdout => 1,
            StreamName::Stderr => 2,
        };
        Self { number: *number, stream, offset: *offset, at_ms: at.0, data: data.clone(), dropped: *dropped }
    }
}

impl FrameRecord {
    fn frame(self, attempt: AttemptId) -> Result<Frame, Unreadable> {
        let Self { number, stream, offset, at_ms, data, dropped } = self;
        let stream = match stream {
            1 => StreamName::Stdout,
            2 => StreamName::Stderr,
            _ => return Err(Unreadable::missing("stream")),
        };
        Ok(Frame { attempt, number, stream, offset, at: UnixMillis(at_ms), data, dropped })
    }
}
