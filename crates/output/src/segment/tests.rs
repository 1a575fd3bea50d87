//! What was acknowledged is there after anything that a crash can do, and damage is loud.

use super::*;
use crate::Place;
use domain::{AttemptNo, Frame, StreamName, TaskId, UnixMillis};
use proptest::prelude::*;

fn attempt(n: u64) -> AttemptId {
    AttemptId { task: TaskId::from_parts(n, 0, 0, 0), no: AttemptNo(1) }
}

/// Frame `number` of an attempt, 100 bytes of one stream and the other in turns.
fn frame(of: u64, number: u64) -> Placed {
    let stream = if number.is_multiple_of(2) { StreamName::Stderr } else { StreamName::Stdout };
    let data = vec![number as u8; 100];
    let offset = (number - 1) / 2 * 100;
    let frame = Frame { attempt: attempt(of), number, stream, offset, at: UnixMillis(9), data, dropped: 0 };
    Placed { after: number / 3, in_story: number < 8, frame }
}

fn frames(of: u64, numbers: std::ops::RangeInclusive<u64>) -> Vec<Placed> {
    numbers.map(|number| frame(of, number)).collect()
}

/// All frames of an attempt, read back.
fn stored(store: &SegmentStore, of: u64) -> Vec<Placed> {
    let reader = store.reader();
    let entries = reader.entries(attempt(of), 0, usize::MAX);
    entries.into_iter().map(|entry| reader.read(entry.place).unwrap()).collect()
}

fn reopen(dir: &Path) -> io::Result<SegmentStore> {
    SegmentStore::with_segments_of(dir, 1_000)
}

#[test]
fn frames_come_back_as_they_were_and_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::open(dir.path()).unwrap();
    store.append(&frames(1, 1..=5)).unwrap();
    store.append(&[frame(2, 1), frame(1, 6)]).unwrap();
    for _ in 0..2 {
        assert_eq!(stored(&store, 1), frames(1, 1..=6));
        assert_eq!(stored(&store, 2), frames(2, 1..=1));
        assert_eq!(store.totals(attempt(1)), Totals { frames: 6, stdout: 300, stderr: 300 });
        assert_eq!(store.reader().attempts(attempt(1).task), [attempt(1)]);
        drop(store);
        store = SegmentStore::open(dir.path()).unwrap();
    }
    store.append(&[frame(1, 7)]).unwrap();
    assert_eq!(stored(&store, 1), frames(1, 1..=7));
}

#[test]
fn readers_find_frames_by_number_offset_and_story() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::open(dir.path()).unwrap();
    store.append(&frames(1, 1..=9)).unwrap();
    let reader = store.reader();
    let numbers = |after, limit| reader.entries(attempt(1), after, limit).iter().map(|e| e.number).collect::<Vec<_>>();
    assert_eq!((numbers(0, 2), numbers(7, 9), numbers(9, 9)), (vec![1, 2], vec![8, 9], vec![]));
    let at = |stream, offset| reader.frame_at(attempt(1), stream, offset).map(|e| (e.number, e.offset));
    assert_eq!(at(StreamName::Stdout, 0), Some((1, 0)));
    assert_eq!(at(StreamName::Stdout, 199), Some((3, 100)));
    assert_eq!(at(StreamName::Stderr, 5_000), Some((8, 300)));
    assert_eq!(reader.frame_at(attempt(2), StreamName::Stderr, 0), None);
    // Frames 1 to 5 follow events 0 and 1; from 8 on they are not part of the story.
    assert_eq!((reader.count(attempt(1), 1), reader.count(attempt(1), 99), reader.count(attempt(2), 9)), (5, 7, 0));
}

#[test]
fn a_resent_frame_is_skipped_and_a_gap_refused_with_its_whole_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::open(dir.path()).unwrap();
    store.append(&frames(1, 1..=3)).unwrap();
    let mut again = frame(1, 3);
    again.frame.data = b"other".to_vec();
    store.append(&[frame(1, 2), again, frame(1, 4), frame(1, 4)]).unwrap();
    let refused = store.append(&[frame(1, 5), frame(1, 7)]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    assert!(refused.to_string().contains("frame 7 where 6 should follow"), "{refused}");
    assert_eq!(stored(&store, 1), frames(1, 1..=4));
}

#[test]
fn sealed_segments_need_no_scan_and_survive_a_lost_footer() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = reopen(dir.path()).unwrap();
    for first in (1..=40).step_by(4) {
        store.append(&frames(1, first..=first + 3)).unwrap();
    }
    let numbers = segments(dir.path()).unwrap();
    assert!(numbers.len() > 3, "{numbers:?}");
    drop(store);
    assert_eq!(stored(&reopen(dir.path()).unwrap(), 1), frames(1, 1..=40));
    // With its footer a segment's records aren't looked at; without it they are.
    let first = OpenOptions::new().write(true).open(path(dir.path(), 1)).unwrap();
    let bytes = first.metadata().unwrap().len();
    first.write_all_at(b"?", bytes - 3).unwrap();
    assert_eq!(stored(&reopen(dir.path()).unwrap(), 1), frames(1, 1..=40));
    first.write_all_at(b"?", 90).unwrap();
    let refused = reopen(dir.path()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_store_that_ends_with_a_sealed_segment_begins_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = reopen(dir.path()).unwrap();
    store.append(&frames(1, 1..=9)).unwrap();
    store.roll().unwrap();
    drop(store);
    fs::remove_file(path(dir.path(), 2)).unwrap();
    let mut store = reopen(dir.path()).unwrap();
    store.append(&[frame(1, 10)]).unwrap();
    assert_eq!((stored(&store, 1), segments(dir.path()).unwrap()), (frames(1, 1..=10), vec![1, 2]));
}

#[test]
fn a_damaged_record_is_an_error_not_other_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::open(dir.path()).unwrap();
    store.append(&frames(1, 1..=2)).unwrap();
    let file = OpenOptions::new().write(true).open(path(dir.path(), 1)).unwrap();
    let reader = store.reader();
    for at in [10, record::HEADER as u64 + 50] {
        file.write_all_at(&[0xaa], at).unwrap();
        let error = reader.read(Place { segment: 1, offset: 0 }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    assert!(reader.read(Place { segment: 1, offset: 184 }).is_ok());
}

proptest! {
    /// The last append may be torn in any way; what was synced before it must be there, and nothing else may be made up.
    #[test]
    fn a_torn_last_append_loses_nothing_older(appends in 1_u64..5, cut in 0_usize..600, holes in prop::collection::vec(0_usize..600, 0..3)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SegmentStore::open(dir.path()).unwrap();
        for n in 0..appends {
            store.append(&frames(1, n * 3 + 1..=n * 3 + 3)).unwrap();
        }
        drop(store);
        let file = path(dir.path(), 1);
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 3 * 184;
        for hole in holes {
            if let Some(byte) = bytes.get_mut(last + hole) {
                *byte = !*byte;
            }
        }
        bytes.truncate(last + cut);
        fs::write(&file, bytes).unwrap();
        let mut store = SegmentStore::open(dir.path()).unwrap();
        let reached = store.totals(attempt(1)).frames;
        prop_assert!(reached >= (appends - 1) * 3);
        store.append(&frames(1, reached + 1..=reached + 4)).unwrap();
        drop(store);
        let store = SegmentStore::open(dir.path()).unwrap();
        prop_assert_eq!(stored(&store, 1), frames(1, 1..=reached + 4));
    }

    /// Damage in what was durable is never taken for a torn end.
    #[test]
    fn damage_before_the_last_append_is_loud(at in 0_usize..(2 * 3 * 184), bit in 0_u32..8) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SegmentStore::open(dir.path()).unwrap();
        for n in 0..3 {
            store.append(&frames(1, n * 3 + 1..=n * 3 + 3)).unwrap();
        }
        drop(store);
        let file = path(dir.path(), 1);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 1_u8 << bit;
        fs::write(&file, bytes).unwrap();
        let refused = SegmentStore::open(dir.path()).map(drop).unwrap_err();
        prop_assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
