//! A frame as it lies in a spool's file: the output store's record of a frame, byte for byte. A test reads one as the
//! other.
//!
//! It is written down here a second time because a worker doesn't know the output store, and should not: what changes
//! there must not change what a keeper of another build has written.

use bytes::Bytes;
use domain::{AttemptId, AttemptNo, Frame, StreamName, TaskId, UnixMillis};

/// Bytes of a header.
pub(super) const HEADER: usize = 68 + TaskId::BYTES;
/// What a record begins with.
const MAGIC: &[u8; 4] = b"BFR2";
const STDERR: u16 = 1;
/// Of the output store alone; every frame of ours is.
const IN_STORY: u16 = 2;

/// All of a record but its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub attempt: AttemptId,
    pub number: u64,
    pub stream: StreamName,
    pub offset: u64,
    pub at: UnixMillis,
    pub dropped: u64,
    pub data_bytes: u32,
    data_sum: u32,
}

/// Appends a frame's record.
pub(super) fn encode(frame: &Frame, out: &mut Vec<u8>) {
    let Frame { attempt: AttemptId { task, no }, number, stream, offset, at, data, dropped } = frame;
    let flags = match stream {
        StreamName::Stdout => IN_STORY,
        StreamName::Stderr => IN_STORY | STDERR,
    };
    let begin = out.len();
    out.reserve(HEADER + data.len());
    out.extend_from_slice(MAGIC);
    // A frame has 256 KiB at most.
    out.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&task.to_bytes());
    out.extend_from_slice(&no.0.to_le_bytes());
    // Its place among the task's events, which only the output store knows, is 0.
    for field in [*number, *offset, 0] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&at.0.to_le_bytes());
    out.extend_from_slice(&dropped.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    // Unused, and how much of the file was synced before: nothing ever is.
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
    let sum = crc32fast::hash(out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(data);
}

impl Header {
    /// The header that these bytes are; `None` if they are none, or damaged.
    pub(super) fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let (fields, sum) = bytes.split_last_chunk::<4>()?;
        if !fields.starts_with(MAGIC) || crc32fast::hash(fields) != u32::from_le_bytes(*sum) {
            return None;
        }
        let mut reader = Reader(fields.get(MAGIC.len()..)?);
        let data_bytes = u32::from_le_bytes(reader.take()?);
        let task = TaskId::from_bytes(reader.take()?);
        let attempt = AttemptId { task, no: AttemptNo(u32::from_le_bytes(reader.take()?)) };
        let (number, offset, _after) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (at, dropped) = (UnixMillis(i64::from_le_bytes(reader.take()?)), reader.u64()?);
        let flags = u16::from_le_bytes(reader.take()?);
        reader.take::<6>()?;
        let data_sum = u32::from_le_bytes(reader.take()?);
        let stream = if flags & STDERR == 0 { StreamName::Stdout } else { StreamName::Stderr };
        Some(Self { attempt, number, stream, offset, at, dropped, data_bytes, data_sum })
    }

    /// Bytes of the whole record.
    pub(super) fn record(&self) -> u64 {
        HEADER as u64 + u64::from(self.data_bytes)
    }

    /// The frame, if these are the bytes that it was written with; otherwise one that counts them as dropped.
    pub(super) fn frame(self, data: Option<Vec<u8>>) -> Frame {
        let Self { attempt, number, stream, offset, at, dropped, data_bytes, data_sum } = self;
        match data.filter(|data| data.len() == data_bytes as usize && crc32fast::hash(data) == data_sum) {
            Some(data) => Frame { attempt, number, stream, offset, at, data: data.into(), dropped },
            None => {
                let dropped = dropped.saturating_add(u64::from(data_bytes));
                Frame { attempt, number, stream, offset, at, data: Bytes::new(), dropped }
            }
        }
    }
}

/// Reads fields one after the other.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_any_flipped_bit_is_noticed() {
        let attempt = AttemptId { task: TaskId::from_parts(7, 0, 1, 2).member(9), no: AttemptNo(3) };
        let (stream, at, data) = (StreamName::Stderr, UnixMillis(-5), b"abc"[..].into());
        let frame = Frame { attempt, number: 9, stream, offset: 1 << 40, at, data, dropped: 0 };
        let mut bytes = Vec::new();
        encode(&frame, &mut bytes);
        let header: [u8; HEADER] = *bytes.first_chunk().expect("a header");
        let read = Header::decode(&header).expect("whole");
        assert_eq!((read.record(), read.frame(Some(b"abc".to_vec()))), (bytes.len() as u64, frame.clone()));
        for bit in 0..HEADER * 8 {
            let mut flipped = header;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), None, "bit {bit}");
        }
        let marker = Frame { data: Bytes::new(), dropped: 3, ..frame };
        for damaged in [Some(b"abd".to_vec()), Some(b"ab".to_vec()), None] {
            assert_eq!(read.frame(damaged), marker);
        }
    }

    #[test]
    fn the_output_store_reads_it_as_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = AttemptId { task: TaskId::from_parts(7, 0, 1, 2), no: AttemptNo::FIRST };
        let frame = |number, stream, data: &'static [u8], dropped| {
            let at = UnixMillis(12);
            Frame { attempt, number, stream, offset: number * 10, at, data: data.into(), dropped }
        };
        let frames = [frame(1, StreamName::Stdout, b"one", 0), frame(2, StreamName::Stderr, b"", 77)];
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| encode(frame, &mut bytes));
        std::fs::write(dir.path().join("1.seg"), bytes).expect("written");
        let reader = output::segment::SegmentStore::open(dir.path()).expect("a segment").reader();
        let entries = reader.entries(attempt, 0, 10);
        let read: Vec<Frame> = entries.iter().map(|e| reader.read(e.place).expect("whole").frame).collect();
        assert_eq!(read, frames);
    }
}
