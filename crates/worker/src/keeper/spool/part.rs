//! One file of a spool: frames of one attempt, one after the other.
//!
//! What can't be read becomes frames that count what is missing: of the numbers that the file must hold, with the
//! offsets that its streams must reach.

use super::record::{HEADER, Header};
use crate::keeper::wall;
use bytes::Bytes;
use domain::{AttemptId, Frame, FrameNo, StreamName, Totals};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// What a file holds, as whoever wrote it knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// Before its first frame.
    pub(super) begin: Totals,
    /// Behind its last.
    pub(super) end: Totals,
    /// Written so far. What is behind that in the file was never whole.
    pub(super) bytes: u64,
}

/// Where a part lies.
pub(super) fn path(dir: &Path, attempt: AttemptId, first: FrameNo) -> PathBuf {
    dir.join(format!("{}.{}.{first}", attempt.task, attempt.no))
}

/// The attempt and the first frame of a file of this name.
pub(super) fn named(name: &str) -> Option<(&str, &str, FrameNo)> {
    let (rest, first) = name.rsplit_once('.')?;
    let (task, no) = rest.rsplit_once('.')?;
    Some((task, no, first.parse().ok()?))
}

/// A part that is read from its beginning.
pub(super) struct Reading {
    attempt: AttemptId,
    part: Totals,
    /// `None`: it can't be opened.
    file: Option<File>,
    at: u64,
    /// Behind the last frame read.
    reached: Totals,
    /// From here on nothing can be read.
    broken: Option<Totals>,
}

impl Reading {
    pub(super) fn open(dir: &Path, attempt: AttemptId, begin: Totals) -> Self {
        let file = File::open(path(dir, attempt, begin.frames + 1));
        if let Err(error) = &file {
            eprintln!("spool of attempt {} of {}: {error}", attempt.no, attempt.task);
        }
        Self { attempt, part: begin, file: file.ok(), at: 0, reached: begin, broken: None }
    }

    /// Whether something in it can't be read.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether it is of the part that begins here, and not beyond this frame.
    pub(super) fn is_before(&self, begin: Totals, number: FrameNo) -> bool {
        self.part == begin && self.reached.frames < number
    }

    /// Reads up to this frame and gives it; `end` is where its part ends. Once something is broken, nothing may be added
    /// to the part any more: what is missing is counted once.
    pub(super) fn frame(&mut self, number: FrameNo, end: Totals) -> Frame {
        while self.broken.is_none() {
            let Some(header) = self.header() else {
                eprintln!("spool of attempt {} of {}: damaged", self.attempt.no, self.attempt.task);
                self.broken = Some(self.reached);
                break;
            };
            let data_at = self.at + HEADER as u64;
            self.at += header.record();
            if header.number < number {
                self.reached.add(&header.frame(None));
                continue;
            }
            let mut data = vec![0; header.data_bytes as usize];
            let read = self.file.as_ref().is_some_and(|file| file.read_exact_at(&mut data, data_at).is_ok());
            let frame = header.frame(read.then_some(data));
            self.reached.add(&frame);
            return frame;
        }
        let from = self.broken.unwrap_or(self.reached);
        let frame = missing(self.attempt, from, end, number);
        self.reached.add(&frame);
        frame
    }

    /// The next frame's header, if it is the one that must be there.
    fn header(&self) -> Option<Header> {
        let mut bytes = [0; HEADER];
        self.file.as_ref()?.read_exact_at(&mut bytes, self.at).ok()?;
        let Totals { frames, stdout, stderr } = self.reached;
        Header::decode(&bytes).filter(|header| {
            let offset = match header.stream {
                StreamName::Stdout => stdout,
                StreamName::Stderr => stderr,
            };
            (header.attempt, header.number, header.offset) == (self.attempt, frames + 1, offset)
        })
    }
}

/// What takes the place of frame `number`, when all from `from` to `end` is gone. The first frames count what is
/// missing, one a stream; those that remain are empty, so that numbers have no gap. There are enough: each stream that
/// misses bytes missed a frame.
fn missing(attempt: AttemptId, from: Totals, end: Totals, number: FrameNo) -> Frame {
    let lost = [
        (StreamName::Stdout, from.stdout, end.stdout.saturating_sub(from.stdout)),
        (StreamName::Stderr, from.stderr, end.stderr.saturating_sub(from.stderr)),
    ];
    let nth = usize::try_from(number.saturating_sub(from.frames + 1)).unwrap_or(usize::MAX);
    let found = lost.into_iter().filter(|(_, _, count)| *count > 0).nth(nth);
    let (stream, offset, dropped) = found.unwrap_or((StreamName::Stdout, end.stdout, 0));
    Frame { attempt, number, stream, offset, at: wall(), data: Bytes::new(), dropped }
}

/// Writes behind what is there.
pub(super) fn write(file: &File, part: &Part, bytes: &[u8]) -> io::Result<()> {
    let written = file.write_all_at(bytes, part.bytes);
    if written.is_err() {
        // What came through takes room on a disk that has none.
        let _ = file.set_len(part.bytes);
    }
    written
}
