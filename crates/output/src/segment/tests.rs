//! What was acknowledged is there after anything that a crash can do, and damage is loud.

use super::*;
use crate::Place;
use domain::{AttemptNo, Frame, StreamName, TaskId, UnixMillis};
use proptest::prelude::*;

/// Bytes of the records made here.
const RECORD: usize = record::HEADER + 100;

fn attempt(n: u64) -> AttemptId {
    AttemptId { task: TaskId::from_parts(n, 0, 0, 0), no: AttemptNo(1) }
}

/// Frame `number` of an attempt, 100 bytes of one stream and the other in turns.
fn frame(of: u64, number: u64) -> Placed {
    let stream = if number.is_multiple_of(2) { StreamName::Stderr } else { StreamName::Stdout };
    let data = vec![number as u8; 100].into();
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
    again.frame.data = b"other"[..].into();
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
fn a_sealed_segment_that_lacks_its_last_records_is_no_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = reopen(dir.path()).unwrap();
    for first in (1..=12).step_by(4) {
        store.append(&frames(1, first..=first + 3)).unwrap();
    }
    drop(store);
    let file = path(dir.path(), 1);
    let whole = fs::read(&file).unwrap();
    let records = whole.windows(4).filter(|bytes| bytes == b"BFR2").count() * RECORD;
    let opens = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        reopen(dir.path()).map(|store| stored(&store, 1).len()).map_err(|error| error.kind())
    };
    let mut no_footer = whole.clone();
    *no_footer.last_mut().unwrap() ^= 1;
    let mut nor_last_record = no_footer.clone();
    nor_last_record[records - 1] ^= 1;
    assert_eq!((opens(&no_footer), opens(&whole[..records + 60])), (Ok(12), Ok(12)));
    for bytes in [&nor_last_record[..], &whole[..records], &whole[..records - RECORD], &whole[..RECORD + 9]] {
        assert_eq!(opens(bytes), Err(io::ErrorKind::InvalidData), "{} bytes", bytes.len());
    }
    assert_eq!(opens(&whole), Ok(12));
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

/// Two records of the first version: frame 1 says `old`, frame 2 that 77 bytes were dropped.
const OLD_RECORDS: &str = "
    424652310300000000000000000170008000000000000000010000000100000000000000000000000000000002000000
    00000000090000000000000000000000000000000200000000000000e5d45d3f0b995e646f6c64424652310000000000
    000000000170008000000000000000010000000200000000000000000000000000000002000000000000000900000000
    0000004d000000000000000300000000000000000000000980e35d
";
/// Their footer.
const OLD_FOOTER: &str = "
    000000000001700080000000000000000100000002000000010000000000000000000000000000000300000000000000
    020000000000000000000000000000000001700080000000000000000100000003000000020000000000000000000000
    000000004d000000000000000200000000000000570000004241544f4e46545202000000000000000bd6139934dfc585
";

/// A directory as the build before arrays left it: two records, the second without data and the last bytes of its file.
fn old_segment(dir: &Path, sealed: bool) {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks_exact(2).map(byte).collect()
    };
    let mut bytes = hex(OLD_RECORDS);
    if sealed {
        bytes.extend(hex(OLD_FOOTER));
    }
    fs::write(path(dir, 1), bytes).unwrap();
}

/// What an old segment tells.
fn old_frames() -> [Placed; 2] {
    let of = |number, stream, data: &'static [u8], dropped| {
        let frame =
            Frame { attempt: attempt(1), number, stream, offset: 0, at: UnixMillis(9), data: data.into(), dropped };
        Placed { after: 2, in_story: true, frame }
    };
    [of(1, StreamName::Stdout, b"old", 0), of(2, StreamName::Stderr, b"", 77)]
}

#[test]
fn what_was_written_before_arrays_is_read_and_added_to() {
    for sealed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        old_segment(dir.path(), sealed);
        let mut store = SegmentStore::open(dir.path()).unwrap();
        assert_eq!(stored(&store, 1), old_frames(), "sealed: {sealed}");
        store.append(&frames(1, 3..=4)).unwrap();
        let member = AttemptId { task: attempt(1).task.member(7), ..attempt(1) };
        let mut of_member = frame(1, 1);
        of_member.frame.attempt = member;
        store.append(std::slice::from_ref(&of_member)).unwrap();
        store.roll().unwrap();
        drop(store);
        let store = SegmentStore::open(dir.path()).unwrap();
        assert_eq!(stored(&store, 1), [&old_frames()[..], &frames(1, 3..=4)].concat(), "sealed: {sealed}");
        let entries = store.reader().entries(member, 0, 9);
        assert_eq!(store.reader().read(entries[0].place).unwrap(), of_member, "of a member, not of its array");
    }
}

/// Three sealed segments, with frames of tasks 1 and 2, of 2 and 3, and of 3; then an open one.
fn with_three_sealed(dir: &Path) -> SegmentStore {
    let mut store = SegmentStore::open(dir).unwrap();
    let first = [frames(1, 1..=6), frames(2, 1..=2)].concat();
    for batch in [first, [frames(2, 3..=4), frames(3, 1..=4)].concat(), frames(3, 5..=11)] {
        store.append(&batch).unwrap();
        store.roll().unwrap();
    }
    store
}

#[test]
fn a_segment_goes_with_its_last_task_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = with_three_sealed(dir.path());
    let reader = store.reader();
    let tasks = |n| reader.tasks(n).unwrap().into_iter().map(|id| id.unix_ms()).collect::<Vec<_>>();
    assert_eq!(reader.sealed().unwrap(), [1, 2, 3]);
    assert_eq!((tasks(1), tasks(2), tasks(3)), (vec![1, 2], vec![2, 3], vec![3]));
    store.expire(&[1, 4, 99]).unwrap();
    store.expire(&[1]).unwrap();
    assert_eq!((reader.sealed().unwrap(), segments(dir.path()).unwrap()), (vec![2, 3], vec![2, 3, 4]));
    assert_eq!(reader.totals(attempt(1)), Totals::default());
    assert_eq!(reader.attempts(attempt(2).task), []);
    assert_eq!(stored(&store, 3), frames(3, 1..=11));
    store.append(&frames(4, 1..=2)).unwrap();
    drop(store);
    // The rest of task 2 is in a segment that stays: without its beginning it isn't found, and no damage either.
    let mut store = reopen(dir.path()).unwrap();
    assert_eq!(
        (stored(&store, 2), stored(&store, 3), stored(&store, 4)),
        (vec![], frames(3, 1..=11), frames(4, 1..=2))
    );
    assert_eq!(store.reader().tasks(2).unwrap(), [attempt(2).task, attempt(3).task].into());
    store.append(&frames(4, 3..=3)).unwrap();
    store.expire(&[2, 3]).unwrap();
    drop(store);
    assert_eq!(stored(&reopen(dir.path()).unwrap(), 4), frames(4, 1..=3));
}

#[test]
fn the_segment_that_is_appended_to_is_sealed_before_it_can_expire() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::open(dir.path()).unwrap();
    store.append(&frames(1, 1..=2)).unwrap();
    let reader = store.reader();
    assert_eq!(reader.open(), (1, [attempt(1).task].into()));
    store.expire(&[1]).unwrap();
    assert_eq!((reader.sealed().unwrap(), reader.open()), (vec![1], (2, [].into())));
    assert_eq!(stored(&store, 1), frames(1, 1..=2), "not a byte is gone yet");
    store.expire(&[1]).unwrap();
    assert_eq!((reader.sealed().unwrap(), stored(&store, 1)), (vec![], vec![]));
    store.expire(&[2]).unwrap();
    assert_eq!(reader.open().0, 2, "there is nothing in it to seal");
    store.append(&frames(2, 1..=2)).unwrap();
    drop(store);
    assert_eq!(reopen(dir.path()).unwrap().reader().open(), (2, [attempt(2).task].into()));
}

#[test]
fn a_frame_that_is_missing_without_retention_is_loud() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_three_sealed(dir.path()));
    fs::write(path(dir.path(), 1), b"").unwrap();
    assert_eq!(reopen(dir.path()).map(drop).unwrap_err().kind(), io::ErrorKind::InvalidData);
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
    assert!(reader.read(Place { segment: 1, offset: RECORD as u64 }).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is large is written in another way than what is small, and in a third one if somebody reads meanwhile.
    #[test]
    fn frames_of_any_size_come_back_read_meanwhile_or_not(sizes in prop::collection::vec((0_usize..6, 0_usize..9_000, any::<bool>()), 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SegmentStore::with_segments_of(dir.path(), 1_500_000).unwrap();
        let mut all: Vec<Placed> = Vec::new();
        for (n, (chunks, more, read)) in sizes.into_iter().enumerate() {
            let mut placed = frame(1, 2 * n as u64 + 1);
            placed.frame.number = n as u64 + 1;
            placed.frame.offset = all.iter().map(|placed| placed.frame.data.len() as u64).sum();
            placed.frame.data = (0..chunks * 131_072 + more).map(|at| (at * 7 + n) as u8).collect();
            store.append(std::slice::from_ref(&placed)).unwrap();
            all.push(placed);
            if read {
                prop_assert_eq!(&stored(&store, 1), &all);
            }
        }
        drop(store);
        prop_assert_eq!(stored(&SegmentStore::open(dir.path()).unwrap(), 1), all);
    }
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
        let last = bytes.len() - 3 * RECORD;
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
    fn damage_before_the_last_append_is_loud(at in 0_usize..(2 * 3 * RECORD), bit in 0_u32..8) {
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
