//! What the worker is told of an attempt, and what it says it doesn't need any more.

use super::{Attempt, Phase, Sent};
use crate::keeper::serve::process::Shared;
use crate::keeper::{codec, message as m, wall};
use domain::{FrameNo, Progress};
use std::os::fd::OwnedFd;

impl Attempt {
    /// Frames up to this number are durable.
    pub(in crate::keeper::serve) fn release(&mut self, number: FrameNo, shared: &mut Shared) {
        self.output.release(number, &mut shared.usage);
        self.pause_or_resume(shared);
    }

    /// It is dropped, with its directory and its files: what it held is no longer counted.
    pub(in crate::keeper::serve) fn forget(self, shared: &mut Shared) {
        shared.directories.give_back(self.id);
        self.output.forget(&mut shared.usage);
    }

    /// A new connection's worker knows nothing yet. Whether it takes custody depends on its age.
    pub(in crate::keeper::serve) fn resend(&mut self, custody: bool, shared: &mut Shared) {
        self.output.mark_all(wall(), &mut shared.usage);
        self.output.rewind(&mut shared.usage);
        let progress = self.progress.is_none();
        self.sent =
            Sent { started: false, frames: self.output.released().frames, progress, custody: !custody, exited: false };
    }

    /// Whether there is something to tell, and room for it at the worker: what it has must be released first.
    pub(in crate::keeper::serve) fn has_news(&self, shared: &Shared) -> bool {
        let Sent { started, frames, progress, custody, exited } = self.sent;
        let more = frames < self.output.totals().frames;
        (self.started.is_some() && !started)
            || more && self.output.may_send(&shared.usage)
            || !progress
            || (!custody && self.may_entrust())
            || (self.has_exited() && !exited && !more)
    }

    /// Whether that it has begun is all there is to tell.
    pub(in crate::keeper::serve) fn has_only_begun(&self) -> bool {
        let Sent { started, frames, progress, custody: _, exited: _ } = self.sent;
        !started && progress && frames == self.output.totals().frames && !self.has_exited() && !self.aged
    }

    /// Only what lives for a while: descriptors for each of 3,000 starts a second would cost more than they save.
    fn may_entrust(&self) -> bool {
        match &self.phase {
            Phase::Running(..) => self.aged && self.started.is_some(),
            Phase::Sweeping(..) | Phase::Exited(_) => false,
        }
    }

    /// What its worker needs if we die, once in a connection.
    pub(in crate::keeper::serve) fn entrust(&mut self, shared: &mut Shared) -> Option<(m::News, Vec<OwnedFd>)> {
        if self.sent.custody || !self.sent.started || !self.may_entrust() {
            return None;
        }
        self.sent.custody = true;
        let Phase::Running(process, _) = &mut self.phase else { return None };
        // A handler's stdout is no output.
        let (custody, rights) = process.entrust(self.result.is_none(), shared.ledger.as_mut()?)?;
        Some((m::News::Custody(m::Custody { attempt: codec::attempt_to(self.id), ..custody }), rights))
    }

    /// The next thing its worker should know.
    pub(in crate::keeper::serve) fn next_news(&mut self, shared: &mut Shared) -> Option<m::News> {
        let attempt = codec::attempt_to(self.id);
        if let Some(at) = self.started.filter(|_| !self.sent.started) {
            self.sent.started = true;
            return Some(m::News::Started(m::Started { attempt, at: at.0 }));
        }
        let more = self.sent.frames < self.output.totals().frames;
        if more
            && self.output.may_send(&shared.usage)
            && let Some(frame) = self.output.send(self.sent.frames, &mut shared.usage)
        {
            self.sent.frames = frame.number;
            return Some(m::News::Frame(codec::frame_to(frame)));
        }
        if let Some(progress) = self.progress.clone().filter(|_| !self.sent.progress) {
            self.sent.progress = true;
            let Progress { percent, message } = progress;
            return Some(m::News::Progressed(m::Progressed { attempt, percent: percent.into(), message }));
        }
        match &self.phase {
            Phase::Exited(exited) if !self.sent.exited && !more => {
                self.sent.exited = true;
                Some(m::News::Exited(codec::exited_to(exited)))
            }
            Phase::Running(..) | Phase::Sweeping(..) | Phase::Exited(_) => None,
        }
    }
}
