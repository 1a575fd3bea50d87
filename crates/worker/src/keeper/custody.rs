//! What a worker holds of an attempt in case its keeper dies, and what it makes of it then.
//!
//! With the keeper its ends of the pipes would be closed: what is in them would be gone, and a task that writes on would
//! end by SIGPIPE. So the worker gets copies. It must never read them while the keeper lives, and let go of them when the
//! attempt has ended.

use super::ledger::{self, Read};
use super::paths::DataDir;
use super::{spool, sweep, wall};
use domain::{AttemptId, Error, Frame, Result, StreamName, Totals, limits};
use std::{fs::File, io, os::fd::OwnedFd, path::Path, sync::Arc};

/// Bytes that are taken out of files and pipes of one dead keeper, at most: they are in memory until they are stored.
/// What is beyond it is counted.
const ROOM_BYTES: u64 = 64 * 1024 * 1024;
/// Read at most of one pipe: as much as there can be in it.
const PIPE_BYTES: u64 = 1024 * 1024;

/// Copies of an attempt's descriptors.
#[derive(Clone, Debug)]
pub struct Custody(Arc<Descriptors>);

/// The same ones.
impl PartialEq for Custody {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Custody {}

#[derive(Debug)]
struct Descriptors {
    process: OwnedFd,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    ledger: Arc<File>,
    slot: u32,
}

impl Custody {
    pub(super) fn new(
        process: OwnedFd,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
        ledger: Arc<File>,
        slot: u32,
    ) -> Self {
        Self(Arc::new(Descriptors { process, stdout, stderr, ledger, slot }))
    }
}

/// An attempt of a dead keeper.
#[derive(Debug)]
pub struct Orphan {
    /// Which.
    pub attempt: AttemptId,
    /// What has arrived of its output.
    pub arrived: Totals,
    /// What is held of it, if anything is.
    pub custody: Option<Custody>,
}

/// Ends every process that a dead keeper of this data directory left behind, and gives what is left of the output of
/// these attempts: frames that follow what has arrived. What was in the keeper's hands when it died is counted where its
/// length is known; where it isn't, the stream ends there. `None`: the keeper lives, and nothing was done. Blocks for
/// seconds at most; call it off the event loop, and before another keeper is started.
///
/// # Errors
/// The data directory's.
pub fn salvage(data_dir: &Path, orphans: Vec<Orphan>) -> Result<Option<Vec<Frame>>> {
    let failed =
        |e: io::Error| Error::unavailable(format!("after the end of the keeper of {}: {e}", data_dir.display()));
    let dir = DataDir::open(data_dir).map_err(failed)?;
    let _lock = match sweep::lock_soon(&dir) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    for Custody(held) in orphans.iter().filter_map(|orphan| orphan.custody.as_ref()) {
        // Wherever it has gone to; that it has ended is as good.
        let _ = rustix::process::pidfd_send_signal(&held.process, rustix::process::Signal::KILL);
    }
    // Before its pipes are read: then nobody writes any more.
    sweep::trees(&dir).map_err(failed)?;
    let (mut room, mut frames) = (ROOM_BYTES, Vec::new());
    for Orphan { attempt, arrived, custody } in orphans {
        let mut reached = arrived;
        for frame in spool::rest(&dir.spool(), attempt, arrived, &mut room) {
            reached.add(&frame);
            frames.push(frame);
        }
        let Some(Custody(held)) = custody else { continue };
        let Ok(read) = ledger::read(&held.ledger, held.slot) else { continue };
        for (stream, pipe) in [(StreamName::Stdout, &held.stdout), (StreamName::Stderr, &held.stderr)] {
            let Some(pipe) = pipe else { continue };
            frames.extend(Rest { attempt, stream, read, pipe }.frames(&mut reached, &mut room));
        }
    }
    Ok(Some(frames))
}

/// What is left of one stream.
struct Rest<'a> {
    attempt: AttemptId,
    stream: StreamName,
    read: Read,
    pipe: &'a OwnedFd,
}

impl Rest<'_> {
    fn frames(&self, reached: &mut Totals, room: &mut u64) -> Vec<Frame> {
        let (taken, offset) = match self.stream {
            StreamName::Stdout => (self.read.stdout, reached.stdout),
            StreamName::Stderr => (self.read.stderr, reached.stderr),
        };
        let mut frames = Vec::new();
        // It read this much, and it is nowhere.
        self.push(&mut frames, reached, Vec::new(), taken.saturating_sub(offset));
        if self.read.unsure == Some(self.stream) {
            return frames;
        }
        let mut left = PIPE_BYTES;
        while left > 0 {
            let mut data = vec![0; limits::FRAME_BYTES];
            let length = rustix::io::read(self.pipe, &mut data).unwrap_or(0);
            if length == 0 {
                break;
            }
            data.truncate(length);
            left = left.saturating_sub(length as u64);
            match room.checked_sub(length as u64) {
                Some(rest) => {
                    *room = rest;
                    self.push(&mut frames, reached, data, 0);
                }
                None => self.push(&mut frames, reached, Vec::new(), length as u64),
            }
        }
        frames
    }

    fn push(&self, frames: &mut Vec<Frame>, reached: &mut Totals, data: Vec<u8>, dropped: u64) {
        if data.is_empty() && dropped == 0 {
            return;
        }
        let offset = match self.stream {
            StreamName::Stdout => reached.stdout,
            StreamName::Stderr => reached.stderr,
        };
        let (attempt, stream, number) = (self.attempt, self.stream, reached.frames + 1);
        let frame = Frame { attempt, number, stream, offset, at: wall(), data: data.into(), dropped };
        reached.add(&frame);
        frames.push(frame);
    }
}
