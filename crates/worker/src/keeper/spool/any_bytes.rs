//! A spool that is damaged in any way, for the fuzzer and the tests that repeat what it found.

use super::Log;
use bytes::Bytes;
use domain::{AttemptId, AttemptNo, Frame, StreamName, TaskId, Totals, UnixMillis};
use std::{fs, path::Path};

/// Writes frames as the bytes say, damages the files as they say, and reads all back: as written, or as a frame that
/// counts what is missing, without a gap in numbers or offsets.
///
/// # Panics
/// If something else comes back.
pub fn any_spool(dir: &Path, bytes: &[u8]) {
    let attempt = AttemptId { task: TaskId::from_parts(7, 0, 1, 2), no: AttemptNo::FIRST };
    let (mut log, mut totals, mut frames) = (Log::new(dir.into(), attempt), Totals::default(), Vec::new());
    let mut script = bytes.iter().copied();
    while let Some(step) = script.next() {
        let argument = script.next().unwrap_or(0);
        if step % 2 == 0 {
            let (stream, offset) =
                if step % 4 == 0 { (StreamName::Stdout, totals.stdout) } else { (StreamName::Stderr, totals.stderr) };
            let (number, data) = (totals.frames + 1, Bytes::from(vec![step; usize::from(argument) + 1]));
            let frame = Frame { attempt, number, stream, offset, at: UnixMillis(1), data, dropped: 0 };
            // A disk that takes nothing changes nothing.
            if log.append(totals, &[&frame]).is_ok() {
                totals.add(&frame);
                frames.push(frame);
            }
        } else {
            damage(dir, step >> 1, argument);
        }
        let mut read = Totals::default();
        for written in &frames {
            let Some(frame) = log.frame(written.number) else { panic!("frame {} is gone", written.number) };
            let offset = match frame.stream {
                StreamName::Stdout => read.stdout,
                StreamName::Stderr => read.stderr,
            };
            assert_eq!((frame.number, frame.offset), (read.frames + 1, offset), "a gap");
            assert!(frame.data.is_empty() || frame == *written, "{frame:?} where {written:?} was written");
            read.add(&frame);
        }
        assert_eq!(read, totals, "bytes are neither there nor counted");
    }
}

/// Changes one place of the first file.
fn damage(dir: &Path, kind: u8, place: u8) {
    let Some(path) = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).next() else { return };
    let mut bytes = fs::read(&path).unwrap_or_default();
    if bytes.is_empty() {
        return;
    }
    let at = usize::from(place) * bytes.len() / 256;
    match kind % 3 {
        0 => bytes[at] ^= 1 << (kind >> 5 & 7),
        1 => bytes.truncate(at),
        _ => bytes[at..].fill(0),
    }
    // A disk that can't be written is no damage.
    let _ = fs::write(path, bytes);
}
