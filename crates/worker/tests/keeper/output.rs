//! Much output: blocked in contact, spooled out of it, never lost or reordered.

use crate::rig::{Rig, attempt, shell};
use domain::{AttemptId, Exit, StreamName, limits};
use worker::keeper::{KeeperEvent, KeeperOptions, SpoolFull, SpoolLimits};

const MIB: u64 = 1024 * 1024;
/// The keeper's window, and what pipe and rounding may add.
const WINDOW: u64 = 8 * MIB;
const SLACK: u64 = 2 * MIB;

/// Writes so many MiB of numbers and says on stderr that it has.
fn writer(mib: u64) -> String {
    format!("seq -w 1 99999999 | head -c {}; echo done >&2", mib * MIB)
}

/// What [`writer`] writes.
fn written(mib: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 1_u64.. {
        if bytes.len() as u64 >= mib * MIB {
            break;
        }
        bytes.extend_from_slice(format!("{n:08}\n").as_bytes());
    }
    bytes.truncate((mib * MIB) as usize);
    bytes
}

#[tokio::test]
async fn a_task_blocks_until_its_output_is_released() {
    let mut rig = Rig::new().await;
    let (id, other) = (attempt(1), attempt(2));
    rig.keeper.start(shell(id, &writer(24))).await.expect("sent");
    let mut received = Vec::new();
    let mut last = 0;
    while (received.len() as u64) < WINDOW / 2 {
        if let KeeperEvent::Frame(frame) = rig.next().await {
            last = frame.number;
            received.extend(frame.data);
        }
    }
    // Everything that it would still send comes before what another task does now.
    rig.keeper.start(shell(other, "sleep 0.3")).await.expect("sent");
    loop {
        match rig.next().await {
            KeeperEvent::Frame(frame) => {
                last = frame.number;
                received.extend(frame.data);
            }
            KeeperEvent::Exited(exited) if exited.attempt == other => break,
            KeeperEvent::Exited(exited) => panic!("it has ended unblocked: {exited:?}"),
            KeeperEvent::Gone(why) => panic!("{why}"),
            KeeperEvent::Held(_)
            | KeeperEvent::Started { .. }
            | KeeperEvent::Progressed { .. }
            | KeeperEvent::Custody { .. } => {}
        }
    }
    assert!((received.len() as u64) < WINDOW + SLACK, "{} bytes in spite of the window", received.len());
    rig.keeper.release(id, last).await.expect("sent");
    let (rest, exit) = drink(&mut rig, id, last).await;
    received.extend(rest);
    assert_eq!(exit, Exit::Code(0));
    assert!(received == written(24), "whole and in order");
}

/// Receives and releases until the exit.
async fn drink(rig: &mut Rig, id: AttemptId, mut last: u64) -> (Vec<u8>, Exit) {
    let mut bytes = Vec::new();
    loop {
        match rig.next().await {
            KeeperEvent::Frame(frame) if frame.attempt == id => {
                assert_eq!(frame.number, last + 1, "without gaps");
                assert!(frame.data.len() <= limits::FRAME_BYTES);
                last = frame.number;
                if frame.stream == StreamName::Stdout {
                    bytes.extend(frame.data);
                }
                rig.keeper.release(id, last).await.expect("sent");
            }
            KeeperEvent::Exited(exited) if exited.attempt == id => return (bytes, exited.exit),
            KeeperEvent::Gone(why) => panic!("{why}"),
            KeeperEvent::Held(_)
            | KeeperEvent::Started { .. }
            | KeeperEvent::Frame(_)
            | KeeperEvent::Progressed { .. }
            | KeeperEvent::Custody { .. }
            | KeeperEvent::Exited(_) => {}
        }
    }
}

/// Bytes on disk.
fn spooled(rig: &Rig) -> u64 {
    let files = std::fs::read_dir(rig.path().join("spool")).into_iter().flatten().flatten();
    files.map(|file| file.metadata().map_or(0, |m| m.len())).sum()
}

/// What a process has in memory.
fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn without_a_worker_or_its_scheduler_tasks_go_on() {
    let id = attempt(1);
    let mut rig = Rig::new().await;
    rig.keeper.detached(true).await.expect("sent");
    let mark = rig.path().join("ended by itself");
    let line = format!("{}; touch '{}'", writer(24), mark.display());
    rig.keeper.start(shell(id, &line)).await.expect("sent");
    while !mark.exists() {
        tokio::task::yield_now().await;
    }
    assert!(spooled(&rig) > 10 * MIB, "{} bytes on disk", spooled(&rig));
    let memory = memory_kib(rig.held.pid);
    assert!(memory < 64 * 1024, "the keeper has {memory} KiB");
    let (bytes, exit) = drink(&mut rig, id, 0).await;
    assert!(exit == Exit::Code(0) && bytes == written(24), "nothing was released, and yet it has ended");
    while spooled(&rig) > 0 {
        tokio::task::yield_now().await;
    }

    let mark = rig.path().join("ended");
    let line = format!("{}; touch {}", writer(20), mark.display());
    let id = attempt(2);
    rig.keeper.start(shell(id, &line)).await.expect("sent");
    rig.until(id, |story| story.started).await;
    let gone = rig.disconnect();
    while !mark.exists() {
        tokio::task::yield_now().await;
    }
    let mut rig = gone.connect().await;
    let (bytes, exit) = drink(&mut rig, id, 0).await;
    assert!(exit == Exit::Code(0) && bytes == written(20));
}

#[tokio::test]
async fn beyond_the_spools_limit_bytes_are_counted_or_the_task_waits() {
    for full in [SpoolFull::Drop, SpoolFull::Block] {
        let spool = SpoolLimits { attempt_bytes: 2 * MIB, all_bytes: 3 * MIB, full };
        let mut rig = Rig::with(|options: &mut KeeperOptions| options.spool = spool).await;
        let id = attempt(1);
        rig.keeper.detached(true).await.expect("sent");
        rig.keeper.start(shell(id, &writer(6))).await.expect("sent");
        let other = attempt(2);
        rig.keeper.start(shell(other, "sleep 0.5; exit 3")).await.expect("sent");
        let mut waits = None;
        let (mut kept, mut dropped, mut last) = (0, 0, 0);
        let exited = loop {
            match rig.next().await {
                KeeperEvent::Frame(frame) if frame.stream == StreamName::Stdout => {
                    (kept, dropped) = (kept + frame.data.len() as u64, dropped + frame.dropped);
                    last = frame.number;
                }
                KeeperEvent::Exited(exited) if exited.attempt == id => break exited,
                // By now it waits, or will; one that doesn't wait needs nobody.
                KeeperEvent::Exited(_) if full == SpoolFull::Block => {
                    waits = Some(kept);
                    rig.keeper.release(id, last).await.expect("sent");
                    rig.keeper.detached(false).await.expect("sent");
                }
                KeeperEvent::Gone(why) => panic!("{why}"),
                KeeperEvent::Held(_)
                | KeeperEvent::Started { .. }
                | KeeperEvent::Frame(_)
                | KeeperEvent::Progressed { .. }
                | KeeperEvent::Custody { .. }
                | KeeperEvent::Exited(_) => {}
            }
        };
        assert_eq!((exited.exit, exited.totals.stdout), (Exit::Code(0), 6 * MIB), "{full:?}");
        assert_eq!(kept + dropped, 6 * MIB, "{full:?}");
        match full {
            SpoolFull::Drop => assert!(dropped > 3 * MIB, "{dropped} bytes dropped"),
            SpoolFull::Block => assert!(dropped == 0 && waits.is_some_and(|kept| kept < 3 * MIB), "{waits:?}"),
        }
    }
}
