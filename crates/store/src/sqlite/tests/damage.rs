//! A damaged log loses commits without an error from SQLite. Here each loss has a name, and is accepted by name.

use super::*;
use crate::conformance::samples::{queued, with_spec};
use crate::conformance::scribe::Scribe;
use domain::Task;
use std::fs;

/// Flips in all: GUARANTEES G12 was written after 400 of 400 went unnoticed.
const FLIPS: u64 = 400;

/// A scheduler killed after its last acknowledged commit: its files, and what it had acknowledged.
struct Killed {
    dir: tempfile::TempDir,
    commit: Commit,
    tasks: Vec<Task>,
}

/// `commits` batches of `each` tasks with payloads of so many bytes, then the files as a killed process leaves them.
fn killed(commits: u64, each: u64, payload: usize) -> Killed {
    let live = tempfile::tempdir().unwrap();
    let mut store = open(live.path()).unwrap();
    let epoch = store.begin().unwrap().epoch;
    let (mut commit, mut tasks) = (Commit(0), Vec::new());
    for n in 0..commits {
        let mut scribe = Scribe::default();
        for i in 0..each {
            let task = with_spec(queued(n * each + i), |spec| {
                spec.run = domain::Run::Handler(domain::HandlerRun { payload: vec![i as u8; payload] });
            });
            scribe.insert(&task);
            tasks.push(task);
        }
        commit = store.commit(&scribe.batch(epoch)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    copy(live.path(), dir.path());
    Killed { dir, commit, tasks }
}

fn copy(from: &Path, to: &Path) {
    for name in ["tasks.sqlite", "tasks.sqlite-wal", "watermark"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Seen {
    /// Everything acknowledged is there.
    Whole,
    /// The store says that something is missing.
    Named,
}

/// What a start says of these files. Panics if something is missing and nothing is said.
fn start(dir: &Path, killed: &Killed) -> Seen {
    let Ok(mut store) = open(dir) else { return Seen::Named };
    let Ok(opened) = store.begin() else { return Seen::Named };
    let remembered = opened.remembered.expect("a watermark");
    if opened.commit < remembered.commit {
        return Seen::Named;
    }
    assert_eq!(opened.commit, killed.commit);
    let reader = store.reader();
    for task in &killed.tasks {
        assert_eq!(reader.task(task.id).unwrap().as_ref(), Some(task), "lost without a word");
    }
    Seen::Whole
}

#[test]
fn every_flipped_bit_of_the_log_is_harmless_or_named() {
    // One log that was never copied back, and one that was.
    let table = [killed(12, 3, 10), killed(15, 25, 20_000)];
    let (mut whole, mut named) = (0, 0);
    for killed in &table {
        let dir = tempfile::tempdir().unwrap();
        copy(killed.dir.path(), dir.path());
        assert_eq!(start(dir.path(), killed), Seen::Whole, "without a flip");
    }
    for flip in 0..FLIPS {
        let killed = &table[usize::from(flip % 8 == 0)];
        let dir = tempfile::tempdir().unwrap();
        copy(killed.dir.path(), dir.path());
        let path = dir.path().join("tasks.sqlite-wal");
        let mut log = fs::read(&path).unwrap();
        let bit = flip.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (log.len() as u64 * 8);
        log[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        fs::write(&path, log).unwrap();
        match start(dir.path(), killed) {
            Seen::Whole => whole += 1,
            Seen::Named => named += 1,
        }
    }
    println!("{FLIPS} flips: {named} named, {whole} harmless, 0 silent");
    assert!(named > FLIPS / 4, "{named} named, {whole} harmless: the flips miss what counts");
}

#[test]
fn a_torn_log_is_named_wherever_it_ends() {
    let killed = killed(12, 3, 10);
    let path = killed.dir.path().join("tasks.sqlite-wal");
    let length = fs::metadata(&path).unwrap().len();
    for cut in (1..length).step_by(usize::try_from(length / 40).unwrap()) {
        let dir = tempfile::tempdir().unwrap();
        copy(killed.dir.path(), dir.path());
        let log = fs::OpenOptions::new().write(true).open(dir.path().join("tasks.sqlite-wal")).unwrap();
        log.set_len(length - cut).unwrap();
        assert_eq!(start(dir.path(), &killed), Seen::Named, "{cut} bytes cut off");
    }
    assert_eq!(start(killed.dir.path(), &killed), Seen::Whole, "whole as it is");
}

#[test]
fn a_loss_goes_on_being_named_until_it_is_accepted_and_is_written_down() {
    let killed = killed(12, 3, 10);
    let log = fs::OpenOptions::new().write(true).open(killed.dir.path().join("tasks.sqlite-wal")).unwrap();
    log.set_len(log.metadata().unwrap().len() / 2).unwrap();
    let mut store = open(killed.dir.path()).unwrap();
    let first = store.begin().unwrap();
    drop(store);
    let mut store = open(killed.dir.path()).unwrap();
    let opened = store.begin().unwrap();
    let remembered = opened.remembered.clone().unwrap();
    assert!(opened.commit < killed.commit && opened.commit == first.commit, "{opened:?}");
    assert_eq!(remembered.commit, killed.commit, "a start that did nothing has forgotten nothing");
    // A worker remembers more than the file.
    let away = Watermark { commit: Commit(killed.commit.0 + 5), epoch: Epoch(opened.epoch.0 + 7), ..remembered };
    store.accept_loss(UnixMillis(77), std::slice::from_ref(&away)).unwrap();
    drop(store);
    let mut store = open(killed.dir.path()).unwrap();
    let after = store.begin().unwrap();
    assert!(after.commit > away.commit && after.epoch > away.epoch);
    assert!(after.remembered.unwrap().commit <= after.commit);
    let [loss] = after.losses[..] else { panic!("{:?}", after.losses) };
    assert_eq!((loss.after, loss.at), (opened.commit, UnixMillis(77)));
    assert!(loss.upto > away.commit && loss.upto <= after.commit);
}
