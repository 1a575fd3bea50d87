//! What a dead keeper had written of an attempt's output and its worker has not seen.

use super::part;
use super::record::{HEADER, Header};
use domain::{AttemptId, Frame, FrameNo, StreamName, Totals};
use std::{fs, fs::File, os::unix::fs::FileExt, path::Path};

/// The frames that follow `after` without a gap, as far as they are whole, in the keeper's `dir`. Whoever calls it holds
/// them in memory: those beyond `room` bytes come without their data, as frames that count it.
pub(in crate::keeper) fn rest(dir: &Path, attempt: AttemptId, after: Totals, room: &mut u64) -> Vec<Frame> {
    let mut reached = after;
    let mut found = Vec::new();
    for first in firsts(dir, attempt) {
        let Ok(file) = File::open(part::path(dir, attempt, first)) else { return found };
        let mut at = 0;
        while let Some(header) = header(&file, at).filter(|h| h.attempt == attempt) {
            let data_at = at + HEADER as u64;
            at += header.record();
            if header.number <= reached.frames {
                continue;
            }
            let offset = match header.stream {
                StreamName::Stdout => reached.stdout,
                StreamName::Stderr => reached.stderr,
            };
            if (header.number, header.offset) != (reached.frames + 1, offset) {
                return found;
            }
            let fits = u64::from(header.data_bytes) <= *room;
            let frame = header.frame(if fits { data(&file, data_at, header.data_bytes) } else { None });
            *room -= frame.data.len() as u64;
            reached.add(&frame);
            found.push(frame);
        }
    }
    found
}

fn header(file: &File, at: u64) -> Option<Header> {
    let mut bytes = [0; HEADER];
    file.read_exact_at(&mut bytes, at).ok()?;
    Header::decode(&bytes)
}

fn data(file: &File, at: u64, length: u32) -> Option<Vec<u8>> {
    let mut data = vec![0; length as usize];
    file.read_exact_at(&mut data, at).ok()?;
    Some(data)
}

/// The first frames of the attempt's parts, in order.
fn firsts(dir: &Path, attempt: AttemptId) -> Vec<FrameNo> {
    let own = (attempt.task.to_string(), attempt.no.to_string());
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let found = names.filter_map(|name| {
        let (task, no, first) = part::named(&name)?;
        (task == own.0 && no == own.1).then_some(first)
    });
    let mut found: Vec<FrameNo> = found.collect();
    found.sort_unstable();
    found
}
