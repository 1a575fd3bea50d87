//! Much output: blocked in contact, spooled out of it, never lost or reordered.

use crate::rig::{Rig, attempt, shell};
use domain::{AttemptId, Exit, StreamName, limits};
use worker::keeper::KeeperEvent;

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
            KeeperEvent::Held(_) | KeeperEvent::Started { .. } | KeeperEvent::Progressed { .. } => {}
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
            | KeeperEvent::Exited(_) => {}
        }
    }
}

#[tokio::test]
async fn without_a_worker_or_its_scheduler_tasks_go_on() {
    let id = attempt(1);
    let mut rig = Rig::new().await;
    rig.keeper.detached(true).await.expect("sent");
    let story = rig.run(shell(id, &writer(20))).await;
    assert_eq!(story.exited().exit, Exit::Code(0), "nothing was released, and yet it has ended");
    assert!(story.bytes(StreamName::Stdout) == written(20));

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
