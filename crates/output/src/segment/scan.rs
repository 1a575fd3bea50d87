//! Reading a segment from its beginning: what is whole, and whether what isn't was ever acknowledged.

use super::footer::Line;
use super::record::Header;
use std::fs::File;
use std::io::{self, Read};

/// The whole records of a segment.
pub(super) struct Scan {
    pub(super) lines: Vec<Line>,
    /// Where the whole records end.
    pub(super) end: u32,
    /// Bytes of the file after that: a torn write, or a footer.
    pub(super) rest: u64,
    /// Up to here the records themselves prove that they were synced: the last one says how far.
    pub(super) proven: u32,
}

/// Scans a segment. A segment fits into memory: at most one append beyond 64 MiB.
///
/// # Errors
/// `InvalidData` if a record that was durable is damaged.
pub(super) fn scan(file: &File, name: &str) -> io::Result<Scan> {
    let mut bytes = Vec::new();
    let mut file = file;
    file.read_to_end(&mut bytes)?;
    let (mut lines, mut end, mut proven) = (Vec::new(), 0_usize, 0);
    while let Some(header) = whole(&bytes, end) {
        lines.push(Line::of(&header, position(end, name)?));
        end += header.record();
        proven = header.synced;
    }
    // A record written after what is damaged says how much was durable then.
    let later = (end + 1..bytes.len()).find_map(|at| header(&bytes, at).filter(|h| h.synced as usize > end));
    if later.is_some() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("output segment {name} is damaged at byte {end}: a durable record there cannot be read"),
        ));
    }
    Ok(Scan { lines, end: position(end, name)?, rest: (bytes.len() - end) as u64, proven })
}

fn position(at: usize, name: &str) -> io::Result<u32> {
    u32::try_from(at).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("segment {name} is over 4 GiB")))
}

fn header(bytes: &[u8], at: usize) -> Option<Header> {
    Header::decode(bytes.get(at..)?)
}

/// The header of the record at `at`, if header and data are whole.
fn whole(bytes: &[u8], at: usize) -> Option<Header> {
    let header = header(bytes, at)?;
    let data = bytes.get(at + header.data_at()..)?.get(..header.data_bytes as usize)?;
    header.matches(data).then_some(header)
}
