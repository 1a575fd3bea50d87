//! Output that leaves room: what would take the room that results and cancels need is put off, as on a full disk.
//!
//! Must never refuse what is there already, and never refuse for ever.

use crate::disk::Disk;
use domain::{AttemptId, Totals};
use output::{Output, Placed};
use std::{io, sync::Arc};

pub(super) struct Bounded<O> {
    pub output: O,
    pub disk: Arc<Disk>,
}

impl<O: Output> Output for Bounded<O> {
    fn append(&mut self, frames: &[Placed]) -> io::Result<()> {
        let bytes = frames.iter().map(|placed| placed.frame.data.len()).sum();
        if !self.disk.takes_output(bytes) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the room that is left is for results and cancels"));
        }
        self.output.append(frames)
    }

    fn totals(&self, attempt: AttemptId) -> Totals {
        self.output.totals(attempt)
    }

    fn expire(&mut self, segments: &[u64]) -> io::Result<()> {
        self.output.expire(segments)
    }
}
