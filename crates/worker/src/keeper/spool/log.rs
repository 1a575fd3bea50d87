//! What one attempt has on disk: parts of a few MiB, written behind, read from the front, and removed when released.

use super::part::{self, Part, Reading};
use super::record;
use domain::{AttemptId, Frame, FrameNo, Totals};
use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
};

/// Bytes of a part: so much stays on disk beyond what is needed, and so much at most is lost by a damaged header.
const PART_BYTES: u64 = 4 * 1024 * 1024;

/// An attempt's parts, oldest first.
pub(in crate::keeper) struct Log {
    dir: Arc<Path>,
    attempt: AttemptId,
    parts: VecDeque<Part>,
    /// The last part's file, while it is written.
    open: Option<File>,
    reading: Option<Reading>,
}

impl Log {
    /// Nothing yet; `dir` need not exist.
    pub(in crate::keeper) fn new(dir: Arc<Path>, attempt: AttemptId) -> Self {
        Self { dir, attempt, parts: VecDeque::new(), open: None, reading: None }
    }

    pub(in crate::keeper) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Appends frames that follow each other and `before`: all of them or none.
    ///
    /// # Errors
    /// The disk's; then nothing has changed.
    pub(in crate::keeper) fn append(&mut self, before: Totals, frames: &[&Frame]) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut end = before;
        for frame in frames {
            record::encode(frame, &mut bytes);
            end.add(frame);
        }
        let roll = self.parts.back().is_none_or(|part| part.bytes >= PART_BYTES);
        if roll || self.open.is_none() {
            return self.begin(before, end, &bytes);
        }
        if let (Some(file), Some(part)) = (&self.open, self.parts.back_mut()) {
            part::write(file, part, &bytes)?;
            part.bytes += bytes.len() as u64;
            part.end = end;
        }
        Ok(())
    }

    /// The next part, with what is in it from the start: an empty one never counts.
    fn begin(&mut self, begin: Totals, end: Totals, bytes: &[u8]) -> io::Result<()> {
        let path = part::path(&self.dir, self.attempt, begin.frames + 1);
        let create = || File::options().write(true).create(true).truncate(true).open(&path);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
                create()?
            }
            opened => opened?,
        };
        let mut part = Part { begin, end, bytes: 0 };
        if let Err(error) = part::write(&file, &part, bytes) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        part.bytes = bytes.len() as u64;
        self.parts.push_back(part);
        self.open = Some(file);
        Ok(())
    }

    /// A frame that is in it, as it was written or as one that counts what is missing; `None` if it isn't in it.
    pub(in crate::keeper) fn frame(&mut self, number: FrameNo) -> Option<Frame> {
        let part = self.parts.iter().find(|part| part.end.frames >= number && part.begin.frames < number)?;
        let Part { begin, end, bytes: _ } = *part;
        let reading = match self.reading.take().filter(|reading| reading.is_before(begin, number)) {
            Some(reading) => reading,
            None => Reading::open(&self.dir, self.attempt, begin),
        };
        let reading = self.reading.insert(reading);
        let frame = reading.frame(number, end);
        if reading.is_broken() && self.parts.back().is_some_and(|last| last.begin == begin) {
            // What comes is not put behind what can't be read.
            self.open = None;
        }
        Some(frame)
    }

    /// Frames up to this number are durable elsewhere: parts without others are removed.
    pub(in crate::keeper) fn release(&mut self, number: FrameNo) {
        while self.parts.front().is_some_and(|part| part.end.frames <= number) {
            let Some(part) = self.parts.pop_front() else { return };
            let path = part::path(&self.dir, self.attempt, part.begin.frames + 1);
            if let Err(error) = fs::remove_file(&path) {
                eprintln!("removing {}: {error}", path.display());
            }
            if self.parts.is_empty() {
                self.open = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StreamName::{Stderr, Stdout};
    use domain::{AttemptNo, StreamName, TaskId, UnixMillis};
    use std::os::unix::fs::FileExt;

    fn attempt() -> AttemptId {
        AttemptId { task: TaskId::from_parts(7, 0, 1, 2).member(3), no: AttemptNo::FIRST }
    }

    struct Rig {
        dir: tempfile::TempDir,
        log: Log,
        totals: Totals,
        frames: Vec<Frame>,
    }

    impl Rig {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let log = Log::new(dir.path().join("spool").into(), attempt());
            Self { dir, log, totals: Totals::default(), frames: Vec::new() }
        }

        fn append(&mut self, stream: StreamName, data: &[u8]) {
            let (Totals { frames, stdout, stderr }, at) = (self.totals, UnixMillis(1));
            let offset = if stream == Stdout { stdout } else { stderr };
            let data = data.to_vec().into();
            let frame = Frame { attempt: attempt(), number: frames + 1, stream, offset, at, data, dropped: 0 };
            self.log.append(self.totals, &[&frame]).expect("written");
            self.totals.add(&frame);
            self.frames.push(frame);
        }

        fn files(&self) -> Vec<std::path::PathBuf> {
            let entries = fs::read_dir(self.dir.path().join("spool")).expect("a directory");
            let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
            files.sort();
            files
        }

        /// Numbers without gaps, offsets as they were, each frame as it was written or empty; something is missing.
        fn assert_counted(&mut self, what: &str) {
            let read = self.read(1);
            let (mut totals, mut lost) = (Totals::default(), 0);
            for frame in &read {
                let offset = if frame.stream == Stdout { totals.stdout } else { totals.stderr };
                assert_eq!((frame.number, frame.offset), (totals.frames + 1, offset), "{what}: {read:?}");
                assert!(frame.data.is_empty() || self.frames.contains(frame), "{what}: {frame:?}");
                totals.add(frame);
                lost += frame.dropped;
            }
            assert_eq!(totals, self.totals, "{what}");
            assert!(lost > 0, "{what}: nothing is missing");
        }

        fn read(&mut self, from: FrameNo) -> Vec<Frame> {
            (from..=self.totals.frames).map(|number| self.log.frame(number).expect("a frame")).collect()
        }
    }

    #[test]
    fn frames_come_back_across_parts_and_again_from_anywhere() {
        let mut rig = Rig::new();
        for n in 0..9_u8 {
            rig.append(if n % 3 == 0 { Stderr } else { Stdout }, &vec![n; 1 << 20]);
        }
        assert_eq!(rig.files().len(), 3);
        assert!(rig.read(1) == rig.frames);
        assert!(rig.read(6) == rig.frames[5..], "once more, from the middle of a part");
        rig.log.release(4);
        assert_eq!(rig.files().len(), 2);
        assert!(rig.read(5) == rig.frames[4..]);
        rig.log.release(9);
        assert!(rig.log.is_empty() && rig.files().is_empty());
        rig.append(Stdout, b"more");
        assert_eq!(rig.read(10), [rig.frames[9].clone()]);
    }

    #[test]
    fn every_flipped_bit_costs_bytes_that_are_counted_and_never_gives_wrong_ones() {
        let texts: [(StreamName, &[u8]); 4] = [(Stdout, b"one"), (Stderr, b"two"), (Stdout, b"three"), (Stderr, b"4")];
        let mut rig = Rig::new();
        texts.iter().for_each(|(stream, data)| rig.append(*stream, data));
        let file = rig.files().remove(0);
        let whole = fs::read(&file).expect("a file");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &bytes).expect("written");
            rig.assert_counted(&format!("bit {bit}"));
        }
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).expect("written");
            rig.assert_counted(&format!("torn at {length}"));
        }
        fs::remove_file(&file).expect("removed");
        rig.assert_counted("no file");
        rig.append(Stdout, b"later");
        rig.assert_counted("and more behind it");
        assert_eq!(rig.read(5), rig.frames[4..], "what comes is not put behind what can't be read");
    }

    #[test]
    fn a_disk_that_takes_nothing_changes_nothing_and_heals() {
        let mut rig = Rig::new();
        rig.append(Stdout, b"before");
        // Writing to a directory's place fails as a full disk does: the file is there, but nothing can be written.
        rig.log.open = Some(File::open("/dev/full").expect("a file"));
        let frame = Frame { number: 2, offset: 6, data: b"x"[..].into(), ..rig.frames[0].clone() };
        rig.log.append(rig.totals, &[&frame]).expect_err("no room");
        rig.log.open = Some(File::options().write(true).open(&rig.files()[0]).expect("a file"));
        let torn = rig.log.open.as_ref().map(|file| file.write_at(b"torn", rig.log.parts[0].bytes));
        assert!(matches!(torn, Some(Ok(4))));
        rig.append(Stdout, b"after");
        assert_eq!(rig.read(1), rig.frames);
    }
}
