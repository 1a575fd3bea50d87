//! The sorted index at the end of a sealed segment: with it a start reads a few kilobytes instead of 64 MiB.

use super::record::{Header, Reader};
use super::version::Version;
use domain::{AttemptId, AttemptNo, StreamName};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Magic, count, checksum of the lines, checksum of the three.
const TRAILER: usize = 24;

/// One frame of a segment, as the index needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub attempt: AttemptId,
    pub number: u64,
    pub stream: StreamName,
    pub in_story: bool,
    pub offset: u64,
    pub length: u64,
    pub after: u64,
    /// Where its record begins in the segment.
    pub at: u32,
}

impl Line {
    /// What the index needs of a record that begins at `at`.
    pub(super) fn of(header: &Header, at: u32) -> Self {
        let Header { attempt, number, stream, offset, after, in_story, .. } = *header;
        Self { attempt, number, stream, in_story, offset, length: header.length(), after, at }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Self { attempt: AttemptId { task, no }, number, stream, in_story, offset, length, after, at } = self;
        let stderr = u32::from(*stream == StreamName::Stderr);
        out.extend_from_slice(&task.to_bytes());
        out.extend_from_slice(&no.0.to_le_bytes());
        out.extend_from_slice(&(stderr | u32::from(*in_story) << 1).to_le_bytes());
        for number in [number, offset, length, after] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&at.to_le_bytes());
    }

    fn decode(version: Version, reader: &mut Reader<'_>) -> Option<Self> {
        let task = version.task(reader)?;
        let attempt = AttemptId { task, no: AttemptNo(reader.u32()?) };
        let flags = reader.u32()?;
        let (number, offset, length, after) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let at = reader.u32()?;
        let stream = if flags & 1 == 0 { StreamName::Stdout } else { StreamName::Stderr };
        Some(Self { attempt, number, stream, in_story: flags & 2 != 0, offset, length, after, at })
    }
}

/// The footer of a segment with these frames.
pub(super) fn encode(mut lines: Vec<Line>) -> Vec<u8> {
    lines.sort_by_key(|line| (line.attempt, line.number));
    let mut bytes = Vec::with_capacity(lines.len() * Version::NOW.line() + TRAILER);
    for line in &lines {
        line.encode(&mut bytes);
    }
    let sum = crc32fast::hash(&bytes);
    let trailer = bytes.len();
    bytes.extend_from_slice(Version::NOW.footer_magic());
    bytes.extend_from_slice(&(lines.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&sum.to_le_bytes());
    let sum = crc32fast::hash(&bytes[trailer..]);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The frames of a sealed segment; `None` if it has no footer, or a damaged one: then it is scanned.
pub(super) fn read(file: &File) -> io::Result<Option<Vec<Line>>> {
    let size = file.metadata()?.len();
    let Some(trailer_at) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let Some((version, count, sum)) = decode_trailer(&trailer) else { return Ok(None) };
    let bytes = count.checked_mul(version.line() as u64).filter(|bytes| *bytes <= trailer_at);
    let Some((bytes, start)) = bytes.and_then(|b| Some((usize::try_from(b).ok()?, trailer_at - b))) else {
        return Ok(None);
    };
    let mut lines = vec![0; bytes];
    file.read_exact_at(&mut lines, start)?;
    if crc32fast::hash(&lines) != sum {
        return Ok(None);
    }
    Ok(lines.chunks_exact(version.line()).map(|line| Line::decode(version, &mut Reader(line))).collect())
}

/// Whether these bytes behind the records of a sealed segment, of which no footer can be read, can have been that of these
/// frames and of no further one: they are damaged, but as many, or cut off, but the beginning of it.
pub(super) fn may_have_been(rest: &[u8], lines: &[Line]) -> bool {
    let as_many = |version: Version| rest.len() == lines.len() * version.line() + TRAILER;
    Version::ALL.into_iter().any(as_many) || (!rest.is_empty() && encode(lines.to_vec()).starts_with(rest))
}

fn decode_trailer(bytes: &[u8; TRAILER]) -> Option<(Version, u64, u32)> {
    let version = Version::of_footer(bytes)?;
    let (fields, sum) = bytes.split_last_chunk::<4>()?;
    let mut reader = Reader(fields);
    reader.take::<8>()?;
    let good = crc32fast::hash(fields) == u32::from_le_bytes(*sum);
    let (count, sum) = (reader.u64()?, reader.u32()?);
    good.then_some((version, count, sum))
}
