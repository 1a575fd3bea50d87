//! What storing output costs: `cargo bench -p output -- [small|large] [FRAMES]`. `small`: the only frame of each of many
//! tasks, 100 a sync, as of commands that print a line. `large`: 256 KiB a frame of one task, 16 a sync. Prints frames and
//! MiB a second. scripts/instructions.sh counts the instructions of `append`.

use domain::{AttemptId, AttemptNo, Frame, StreamName, TaskId, UnixMillis};
use output::{Output, Placed, segment::SegmentStore};
use std::{error::Error, io, time::Instant};

/// Bytes of a frame, and frames a sync.
const SMALL: (usize, u64) = (32, 100);
const LARGE: (usize, u64) = (256 * 1024, 16);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let large = args.next().is_some_and(|mode| mode == "large");
    let (bytes, batch) = if large { LARGE } else { SMALL };
    let frames = args.next().map_or(Ok(if large { 2_000 } else { 200_000 }), |n| n.parse::<u64>())?;
    let dir = tempfile::tempdir_in(".")?;
    let mut store = SegmentStore::open(dir.path())?;
    let begin = Instant::now();
    for first in (0..frames).step_by(batch as usize) {
        let batch: Vec<Placed> = (first..frames.min(first + batch)).map(|n| frame(n, bytes, large)).collect();
        append(&mut store, &batch)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mib = frames as f64 * bytes as f64 / 1_048_576.0;
    println!("{frames} frames of {bytes} bytes: {:.0}/s, {:.0} MiB/s", frames as f64 / seconds, mib / seconds);
    Ok(())
}

#[inline(never)]
fn append(store: &mut SegmentStore, frames: &[Placed]) -> io::Result<()> {
    store.append(frames)
}

/// The first of a task of its own, or the next one of the only task.
fn frame(n: u64, bytes: usize, one_task: bool) -> Placed {
    let (task, number) = if one_task { (0, n) } else { (n, 0) };
    let id = TaskId::from_parts(1_700_000_000_000 + task / 1_000, 0, (task % 1_000) as u16, task);
    let frame = Frame {
        attempt: AttemptId { task: id, no: AttemptNo::FIRST },
        number: number + 1,
        stream: StreamName::Stdout,
        offset: number * bytes as u64,
        at: UnixMillis(1_700_000_000_000),
        data: vec![b'x'; bytes].into(),
        dropped: 0,
    };
    Placed { after: 3, in_story: true, frame }
}
