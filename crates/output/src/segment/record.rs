//! A frame as it lies in a segment: a header of fixed length with checksums, then the bytes as the task wrote them.

use super::version::Version;
use crate::Placed;
use domain::{AttemptId, AttemptNo, Frame, StreamName, UnixMillis};
use std::io;

/// Bytes of a header as it is written now.
pub(super) const HEADER: usize = Version::NOW.header();
/// Bytes of data a record can have: a frame's limit, with room for later builds; more is damage.
const DATA_BYTES: u32 = 16 * 1024 * 1024;
const STDERR: u16 = 1;
const IN_STORY: u16 = 2;

/// All of a record but its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub attempt: AttemptId,
    pub number: u64,
    pub stream: StreamName,
    pub offset: u64,
    pub after: u64,
    pub in_story: bool,
    pub at: UnixMillis,
    pub dropped: u64,
    /// Bytes of the segment that were durable before this record was written: a hole below that is damage, one above
    /// it a write that was never acknowledged.
    pub synced: u32,
    pub data_bytes: u32,
    data_sum: u32,
    version: Version,
}

impl Header {
    /// Bytes of the whole record.
    pub(super) fn record(&self) -> usize {
        self.version.header() + self.data_bytes as usize
    }

    /// Where the frame's data begins in the record.
    pub(super) fn data_at(&self) -> usize {
        self.version.header()
    }

    /// How far the stream moves by the frame.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.data_bytes).saturating_add(self.dropped)
    }

    /// The header of a frame.
    ///
    /// # Errors
    /// `InvalidInput` if the frame is larger than any may be.
    pub(super) fn of(placed: &Placed, synced: u32) -> io::Result<Self> {
        let Placed { after, in_story, frame } = placed;
        let Frame { attempt, number, stream, offset, at, data, dropped } = frame;
        let data_bytes = u32::try_from(data.len()).ok().filter(|n| *n <= DATA_BYTES);
        Ok(Self {
            attempt: *attempt,
            number: *number,
            stream: *stream,
            offset: *offset,
            after: *after,
            in_story: *in_story,
            at: *at,
            dropped: *dropped,
            synced,
            data_bytes: data_bytes.ok_or(io::ErrorKind::InvalidInput)?,
            data_sum: crc32fast::hash(data),
            version: Version::NOW,
        })
    }

    /// Its bytes, as they are written now.
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let Self { attempt, number, stream, offset, after, in_story, .. } = self;
        let Self { at, dropped, synced, data_bytes, data_sum, version: _, .. } = self;
        let AttemptId { task, no } = attempt;
        let stderr = if *stream == StreamName::Stderr { STDERR } else { 0 };
        let flags = stderr | if *in_story { IN_STORY } else { 0 };
        let mut writer = Fields::default();
        writer.put(Version::NOW.magic());
        writer.put(&data_bytes.to_le_bytes());
        writer.put(&task.to_bytes());
        writer.put(&no.0.to_le_bytes());
        writer.put(&number.to_le_bytes());
        writer.put(&offset.to_le_bytes());
        writer.put(&after.to_le_bytes());
        writer.put(&at.0.to_le_bytes());
        writer.put(&dropped.to_le_bytes());
        writer.put(&flags.to_le_bytes());
        writer.put(&[0, 0]);
        writer.put(&synced.to_le_bytes());
        writer.put(&data_sum.to_le_bytes());
        writer.seal()
    }

    /// The header that these bytes begin with; `None` if it is none, or damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        // The magic first: a scan for the next record asks at every byte.
        let version = Version::of_record(bytes)?;
        let (fields, sum) = bytes.get(..version.header())?.split_last_chunk::<4>()?;
        if crc32fast::hash(fields) != u32::from_le_bytes(*sum) {
            return None;
        }
        let mut reader = Reader(fields);
        reader.take::<4>()?;
        let data_bytes = reader.u32().filter(|n| *n <= DATA_BYTES)?;
        let task = version.task(&mut reader)?;
        let attempt = AttemptId { task, no: AttemptNo(reader.u32()?) };
        let (number, offset, after) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (at, dropped) = (UnixMillis(i64::from_le_bytes(reader.take()?)), reader.u64()?);
        let flags = u16::from_le_bytes(reader.take()?);
        reader.take::<2>()?;
        let (synced, data_sum) = (reader.u32()?, reader.u32()?);
        let stream = if flags & STDERR == 0 { StreamName::Stdout } else { StreamName::Stderr };
        let in_story = flags & IN_STORY != 0;
        Some(Self {
            attempt,
            number,
            stream,
            offset,
            after,
            in_story,
            at,
            dropped,
            synced,
            data_bytes,
            data_sum,
            version,
        })
    }

    /// Whether these are the bytes it was written with.
    pub(super) fn matches(&self, data: &[u8]) -> bool {
        data.len() == self.data_bytes as usize && crc32fast::hash(data) == self.data_sum
    }

    /// The frame with its bytes.
    pub(super) fn placed(self, data: Vec<u8>) -> Placed {
        let Self { attempt, number, stream, offset, after, in_story, at, dropped, .. } = self;
        let data = data.into();
        Placed { after, in_story, frame: Frame { attempt, number, stream, offset, at, data, dropped } }
    }
}

/// Writes fields one after the other.
struct Fields {
    bytes: [u8; HEADER],
    at: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { bytes: [0; HEADER], at: 0 }
    }
}

impl Fields {
    fn put(&mut self, field: &[u8]) {
        let end = self.at + field.len();
        self.bytes[self.at..end].copy_from_slice(field);
        self.at = end;
    }

    /// The last four bytes are the checksum of all others.
    fn seal(mut self) -> [u8; HEADER] {
        let sum = crc32fast::hash(&self.bytes[..HEADER - 4]);
        self.bytes[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
        self.bytes
    }
}

/// Reads fields one after the other.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TaskId;

    #[test]
    fn a_header_comes_back_and_any_flipped_bit_is_noticed() {
        let attempt = AttemptId { task: TaskId::from_parts(7, 0, 1, 2).member(9), no: AttemptNo(3) };
        let (stream, at, data) = (StreamName::Stderr, UnixMillis(-5), b"abc"[..].into());
        let frame = Frame { attempt, number: 9, stream, offset: 1 << 40, at, data, dropped: 0 };
        let placed = Placed { after: 12, in_story: true, frame };
        let header = Header::of(&placed, 4_711).unwrap();
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        assert_eq!(header.placed(b"abc".to_vec()), placed);
        for bit in 0..HEADER * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), None, "bit {bit}");
        }
        assert!(header.matches(b"abc") && !header.matches(b"abd") && !header.matches(b"ab"));
    }
}
