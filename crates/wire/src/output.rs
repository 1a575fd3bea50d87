//! Output as readers get it.

use crate::v1;
use domain::{Error, Frame, Result, StreamName};

/// Reads a stream's number.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field, if it is neither stdout nor stderr.
pub fn stream_name(number: i32) -> Result<StreamName> {
    match v1::OutputStream::try_from(number) {
        Ok(v1::OutputStream::Stdout) => Ok(StreamName::Stdout),
        Ok(v1::OutputStream::Stderr) => Ok(StreamName::Stderr),
        Ok(v1::OutputStream::Unspecified) | Err(_) => {
            Err(Error::field("stream", "must be OUTPUT_STREAM_STDOUT or OUTPUT_STREAM_STDERR"))
        }
    }
}

impl From<StreamName> for v1::OutputStream {
    fn from(name: StreamName) -> Self {
        match name {
            StreamName::Stdout => Self::Stdout,
            StreamName::Stderr => Self::Stderr,
        }
    }
}

/// The part of a frame from `offset` of its stream on; `None` if it ends before.
pub fn chunk(frame: Frame, offset: u64) -> Option<v1::OutputChunk> {
    let end = frame.offset + frame.length();
    let Frame { attempt, number: _, stream: _, offset: start, at: _, mut data, dropped } = frame;
    if end <= offset {
        return None;
    }
    let skip = offset.saturating_sub(start);
    let skipped = skip.min(data.len() as u64);
    let _ = data.split_to(usize::try_from(skipped).unwrap_or(data.len()));
    let dropped = dropped - (skip - skipped).min(dropped);
    Some(v1::OutputChunk { attempt: attempt.no.0, offset: start + skip, data, dropped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AttemptId, AttemptNo, TaskId, UnixMillis};

    fn frame(data: &'static [u8], dropped: u64) -> Frame {
        let attempt = AttemptId { task: TaskId::from_parts(1, 0, 0, 0), no: AttemptNo::FIRST };
        Frame {
            attempt,
            number: 1,
            stream: StreamName::Stdout,
            offset: 10,
            at: UnixMillis(0),
            data: data.into(),
            dropped,
        }
    }

    #[test]
    fn a_reader_gets_each_byte_from_its_offset_on_once() {
        let table = [(0, Some((10, "abcd"))), (10, Some((10, "abcd"))), (12, Some((12, "cd"))), (14, None), (99, None)];
        for (offset, expected) in table {
            let got = chunk(frame(b"abcd", 0), offset).map(|c| (c.offset, String::from_utf8(c.data.to_vec()).unwrap()));
            assert_eq!(got, expected.map(|(o, t): (u64, &str)| (o, t.to_owned())), "{offset}");
        }
    }

    #[test]
    fn dropped_bytes_take_room_in_the_stream() {
        let got = chunk(frame(b"", 100), 30).map(|c| (c.offset, c.dropped));
        assert_eq!(got, Some((30, 80)));
        assert_eq!(chunk(frame(b"", 100), 110), None);
    }
}
