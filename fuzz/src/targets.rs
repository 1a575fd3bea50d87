//! What is fuzzed: each function takes any bytes and panics if a promise is broken. The fuzzer calls them, and so does
//! `crates/e2e/tests/corpora.rs` with every input that is kept in `fuzz/seeds`.

use domain::{AttemptId, AttemptNo, Frame, Spec, StreamName, TaskId, UnixMillis};
use output::{Output as _, Placed, segment::SegmentStore};
use prost::Message as _;
use std::{collections::BTreeMap, fs, path::Path};
use wire::v1;

/// The engine, with the driver and the worker's session around it, through a simulated storm: what must hold is asserted
/// by the simulator. The bytes are its seed.
pub fn engine(bytes: &[u8]) {
    let seed = bytes.chunks(8).fold(0_u64, |seed, chunk| {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        seed.rotate_left(7) ^ u64::from_le_bytes(eight)
    });
    sim::run(sim::Plan { seed, ..Default::default() });
}

/// What a keeper and its worker read from their socket.
pub fn keeper(bytes: &[u8]) {
    worker::keeper::any_bytes(bytes);
}

/// A keeper's spool, damaged.
pub fn spool(bytes: &[u8]) {
    worker::keeper::any_spool(scratch().path(), bytes);
}

/// Task specs from strangers: refused, or meaning the same when said again.
pub fn spec(bytes: &[u8]) {
    let Ok(said) = v1::TaskSpec::decode(bytes) else { return };
    let Ok((spec, entries)) = wire::spec(said) else { return };
    let mut again = v1::TaskSpec::from(&spec);
    if let Some(array) = &mut again.array {
        array.entries = entries.iter().map(|entry| entry.as_ref().to_owned()).collect();
    }
    assert_eq!(wire::spec(again), Ok((Spec { key: None, ..spec }, entries)), "said again it means something else");
}

/// What workers and schedulers send each other. The first byte says what follows.
pub fn worker_message(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => {
            let Ok(hello) =
                v1::WorkerHello::decode(bytes).map_err(drop).and_then(|m| wire::worker::hello(m).map_err(drop))
            else {
                return;
            };
            assert_eq!(wire::worker::hello(wire::worker::v1_hello(hello.clone())).as_ref(), Ok(&hello));
        }
        1 => {
            let Ok(update) =
                v1::WorkerUpdate::decode(bytes).map_err(drop).and_then(|m| wire::worker::update(m).map_err(drop))
            else {
                return;
            };
            let (reports, offer) = update.clone();
            let again = wire::worker::v1_update(reports, offer, UnixMillis(0));
            assert_eq!(wire::worker::update(again).as_ref().map(|(reports, _)| reports.len()), Ok(update.0.len()));
        }
        2 => {
            let Ok(frame) =
                v1::OutputFrame::decode(bytes).map_err(drop).and_then(|m| wire::worker::frame(m).map_err(drop))
            else {
                return;
            };
            assert_eq!(wire::worker::frame(wire::worker::v1_frame(frame.clone())).as_ref(), Ok(&frame));
        }
        3 => {
            let Ok(batch) = v1::TaskAssignment::decode(bytes)
                .map_err(drop)
                .and_then(|m| wire::worker::order_batch(m).map_err(drop))
            else {
                return;
            };
            assert_eq!(wire::worker::order_batch(wire::worker::v1_assignment(batch.clone())).as_ref(), Ok(&batch));
        }
        4 => {
            if let Ok(ack) = v1::OutputAck::decode(bytes) {
                let _ = wire::worker::ack(ack);
            }
        }
        _ => {
            if let Ok(entry) = v1::SubmitEntry::decode(bytes) {
                let _ = wire::submit_entry(entry);
            }
            if let Ok(request) = v1::ListTasksRequest::decode(bytes) {
                let _ = wire::page_request(request);
            }
        }
    }
}

/// Segments of output, written, damaged and read again. What comes back is what was written, from the beginning and
/// without a gap, or the store says that it is damaged; and what it has opened it can go on with.
pub fn segment(bytes: &[u8]) {
    let dir = scratch();
    let mut written: BTreeMap<AttemptId, Vec<Frame>> = BTreeMap::new();
    // Small segments, so that there are several.
    let Ok(mut store) = SegmentStore::with_segments_of(dir.path(), 512) else { return };
    let mut script = bytes.iter().copied();
    while let Some(step) = script.next() {
        let argument = u64::from(script.next().unwrap_or(0)) | u64::from(script.next().unwrap_or(0)) << 8;
        match step % 8 {
            0..=3 => append(&mut store, &mut written, step, argument),
            4 => damage(dir.path(), argument, |file, at| file[at] ^= 1 << (step >> 5)),
            5 => damage(dir.path(), argument, |file, at| file.truncate(at)),
            6 => damage(dir.path(), argument, |file, at| file.extend_from_slice(&bytes[..bytes.len().min(at)])),
            _ => damage(dir.path(), argument, |file, at| file[at..].fill(0)),
        }
        if step % 8 >= 4 {
            drop(store);
            store = match SegmentStore::with_segments_of(dir.path(), 512) {
                Ok(store) => store,
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
                    return;
                }
            };
            check(&store, &mut written);
        }
    }
    check(&store, &mut written);
}

/// On a disk in memory, where there is one: the fuzzer is there for the code.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap_or_else(|error| panic!("no temporary directory: {error}"))
}

fn append(store: &mut SegmentStore, written: &mut BTreeMap<AttemptId, Vec<Frame>>, step: u8, argument: u64) {
    let task = TaskId::from_parts(1, 0, u16::from(step >> 6), 1);
    let attempt = AttemptId { task, no: AttemptNo(1 + u32::from(step >> 5 & 1)) };
    let frames = written.entry(attempt).or_default();
    let stream = if argument & 1 == 0 { StreamName::Stdout } else { StreamName::Stderr };
    let before = frames.iter().filter(|frame| frame.stream == stream);
    let offset = before.map(|frame| frame.data.len() as u64 + frame.dropped).sum();
    let data = vec![step; usize::try_from(argument >> 1 & 0xff).unwrap_or(0)];
    let dropped = if data.is_empty() { argument >> 9 } else { 0 };
    let (number, at) = (frames.len() as u64 + 1, UnixMillis(i64::from(step)));
    let frame = Frame { attempt, number, stream, offset, at, data: data.into(), dropped };
    let placed = Placed { after: argument, in_story: argument & 2 == 0, frame: frame.clone() };
    store.append(&[placed]).unwrap_or_else(|error| panic!("cannot append: {error}"));
    frames.push(frame);
}

/// Changes one of the files at one place.
fn damage(dir: &Path, argument: u64, change: impl FnOnce(&mut Vec<u8>, usize)) {
    let mut files: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let chosen = usize::try_from(argument).unwrap_or(0);
    let Some(path) = files.get(chosen % files.len().max(1)) else { return };
    let mut bytes = fs::read(path).unwrap_or_default();
    if !bytes.is_empty() {
        let at = chosen / files.len() % bytes.len();
        change(&mut bytes, at);
        fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// What is there must be the beginning of what was written.
fn check(store: &SegmentStore, written: &mut BTreeMap<AttemptId, Vec<Frame>>) {
    let reader = store.reader();
    for (attempt, frames) in written.iter_mut() {
        let entries = reader.entries(*attempt, 0, usize::MAX);
        assert!(entries.len() <= frames.len(), "more than was written");
        for (entry, frame) in entries.iter().zip(frames.iter()) {
            // A sealed segment's data is first looked at when it is read: then the damage must be said.
            match reader.read(entry.place) {
                Ok(placed) => assert_eq!(&placed.frame, frame),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}"),
            }
        }
        assert_eq!(store.totals(*attempt).frames, entries.len() as u64);
        frames.truncate(entries.len());
    }
}
