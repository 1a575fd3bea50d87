//! One attempt in the keeper: it runs, its tree is brought down, it has exited.

mod tell;

use super::output::{Output, WINDOW_BYTES};
use super::poll::Pipe;
use super::process::{Process, Pulled, Shared};
use super::progress::ProgressLines;
use crate::keeper::event::{Exited, KeptAttempt, Launch, LaunchCommand, SpoolFull, SpoolLimits};
use crate::keeper::message::Variable;
use crate::keeper::{codec, wall};
use bytes::Bytes;
use domain::{AttemptId, Exit, FrameNo, Progress, StreamName, UnixMillis, limits};
use exec::start::Status;
use std::{
    mem,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Read at most of one pipe when the child has ended: what is in it, and a bound for others who still write.
const DRAIN_BYTES: usize = 4 * 1024 * 1024;
/// How long a killed tree may take to be gone before the exit is reported without the proof. Processes in an
/// uninterruptible wait take longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between the first two looks whether a tree is gone; then doubled.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// Between later looks.
const LAST_LOOK: Duration = Duration::from_millis(250);

pub(super) struct Attempt {
    id: AttemptId,
    phase: Phase,
    output: Output,
    /// A handler's stdout is its result, not output.
    result: Option<Collected>,
    lines: ProgressLines,
    progress: Option<Progress>,
    /// It runs long enough to be entrusted to its worker.
    aged: bool,
    /// When its program was loaded, as far as anybody cares: when its process was made, by the wall clock.
    started: Option<UnixMillis>,
    /// Why its program can't be loaded: its process is ending.
    unloaded: Option<String>,
    began: Instant,
    began_at: UnixMillis,
    limit: Option<Duration>,
    grace: Duration,
    /// Its output pipes are not read.
    paused: bool,
    /// What it writes next finds no room, and must not be dropped.
    stuck: bool,
    sent: Sent,
    /// When [`Attempt::on_timer`] is due.
    pub(super) timer: Option<Instant>,
}

enum Phase {
    Running(Process, Option<Asked>),
    /// The child has ended; its tree is being killed.
    Sweeping(Process, Sweep),
    Exited(Exited),
}

/// A handler's result so far.
#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    too_large: bool,
}

/// It is to end.
struct Asked {
    exit: Exit,
    kill_at: Instant,
    again: Duration,
}

/// The child's end, while its tree is being killed.
struct Sweep {
    exit: Exit,
    run_us: u64,
    at: UnixMillis,
    until: Instant,
    again: Duration,
}

/// What this connection's worker has been told.
#[derive(Default)]
struct Sent {
    started: bool,
    frames: FrameNo,
    progress: bool,
    custody: bool,
    exited: bool,
}

impl Attempt {
    /// Makes its process. One that has none has exited.
    pub(super) fn begin(key: u64, what: &Launch, base: &[Variable], shared: &mut Shared) -> Self {
        let dir = Arc::clone(&shared.spool);
        let Launch { attempt, command: _, entry: _, timeout, grace: _, user } = what;
        let began = Instant::now();
        let process = shared
            .directories
            .take(*attempt, user.as_ref())
            .map_err(|e| format!("no directory for it: {e}"))
            .and_then(|dir| Process::start(key, what, base, &dir, shared));
        let timer = timeout.and_then(|limit| began.checked_add(limit));
        match process {
            Ok(process) => Self { timer, ..Self::new(what, dir, began, Phase::Running(process, None)) },
            Err(why) => Self::new(what, dir, began, Phase::Exited(not_started(*attempt, why))),
        }
    }

    /// One that is not started, for this reason.
    pub(super) fn refuse(what: &Launch, why: &str, spool: Arc<Path>) -> Self {
        Self::new(what, spool, Instant::now(), Phase::Exited(not_started(what.attempt, why.to_owned())))
    }

    fn new(what: &Launch, spool: Arc<Path>, began: Instant, phase: Phase) -> Self {
        let Launch { attempt, command, entry: _, timeout, grace, user: _ } = what;
        Self {
            id: *attempt,
            phase,
            output: Output::new(*attempt, spool),
            result: match command {
                LaunchCommand::Shell(_) => None,
                LaunchCommand::Handler { .. } => Some(Collected::default()),
            },
            lines: ProgressLines::default(),
            progress: None,
            aged: false,
            started: None,
            unloaded: None,
            began,
            began_at: wall(),
            limit: *timeout,
            grace: *grace,
            paused: false,
            stuck: false,
            sent: Sent { progress: true, ..Sent::default() },
            timer: None,
        }
    }

    /// Whether its program isn't known to be loaded yet.
    pub(super) fn is_loading(&self) -> bool {
        match &self.phase {
            Phase::Running(process, _) => process.is_loading(),
            Phase::Sweeping(..) | Phase::Exited(_) => false,
        }
    }

    /// Its program may be loaded.
    pub(super) fn on_loaded(&mut self, shared: &mut Shared) {
        let Phase::Running(process, _) = &mut self.phase else { return };
        match process.loaded(&mut shared.starter) {
            Some(Ok(())) => self.started = Some(self.began_at),
            // It has started nothing; its process is about to end.
            Some(Err(why)) => self.unloaded = Some(why),
            None => {}
        }
    }

    pub(super) fn has_exited(&self) -> bool {
        match self.phase {
            Phase::Exited(_) => true,
            Phase::Running(..) | Phase::Sweeping(..) => false,
        }
    }

    pub(super) fn kept(&self) -> KeptAttempt {
        KeptAttempt {
            attempt: self.id,
            exited: self.has_exited(),
            totals: self.output.totals(),
            released: self.output.released(),
        }
    }

    /// A pipe can be read.
    pub(super) fn on_pipe(&mut self, pipe: Pipe, shared: &mut Shared) {
        self.pull(pipe, shared);
        self.pause_or_resume(shared);
    }

    fn pull(&mut self, pipe: Pipe, shared: &mut Shared) -> Pulled {
        let process = match &mut self.phase {
            Phase::Running(process, _) | Phase::Sweeping(process, _) => process,
            Phase::Exited(_) => return Pulled::Ended,
        };
        let pulled = process.pull(pipe, shared);
        match pulled {
            Pulled::Bytes(length) => self.take(pipe, length, shared),
            Pulled::Nothing => {}
            Pulled::Ended if pipe == Pipe::Progress => {
                let last = self.lines.end();
                self.progressed(last);
            }
            Pulled::Ended => {}
        }
        pulled
    }

    fn take(&mut self, pipe: Pipe, length: usize, shared: &mut Shared) {
        let bytes = shared.buffer.get(..length).unwrap_or_default();
        let stream = match (pipe, &mut self.result) {
            (Pipe::Progress, _) => {
                let last = self.lines.take(bytes);
                return self.progressed(last);
            }
            (Pipe::Stdout, Some(result)) => {
                if result.bytes.len() + length > limits::RESULT_BYTES {
                    result.too_large = true;
                    self.end(too_large(), Duration::ZERO);
                } else if !result.too_large {
                    result.bytes.extend_from_slice(bytes);
                }
                return;
            }
            (Pipe::Stdout, None) => StreamName::Stdout,
            (Pipe::Stderr, _) => StreamName::Stderr,
        };
        let at = wall();
        let drops = shared.detached && shared.limits.full == SpoolFull::Drop;
        if drops && !self.fits(length, shared) {
            return self.output.drop(stream, length);
        }
        if let Err(data) = self.output.keep(stream, Bytes::copy_from_slice(bytes), at, &mut shared.usage) {
            if drops {
                self.output.drop(stream, data.len());
            } else {
                self.output.hold(stream, data, at, &mut shared.usage);
            }
        }
    }

    /// Whether so many bytes more are within the spool's limits.
    fn fits(&self, bytes: usize, shared: &Shared) -> bool {
        let SpoolLimits { attempt_bytes, all_bytes, full: _ } = shared.limits;
        let bytes = bytes as u64;
        self.output.bytes() + bytes <= attempt_bytes && shared.usage.spooled + bytes <= all_bytes
    }

    fn progressed(&mut self, last: Option<Progress>) {
        if last.is_some() && last != self.progress {
            self.progress = last;
            self.sent.progress = false;
        }
    }

    /// Blocks or unblocks the task, by what its worker has not released and by what finds room.
    pub(super) fn pause_or_resume(&mut self, shared: &mut Shared) {
        if self.has_exited() {
            return;
        }
        // Half a window of room before it goes on: otherwise it would wake for every frame.
        let allowed = if self.paused { WINDOW_BYTES / 2 } else { WINDOW_BYTES };
        let blocks = shared.limits.full == SpoolFull::Block;
        let full = shared.detached && blocks && !self.fits(limits::FRAME_BYTES, shared);
        self.stuck = full || (blocks || !shared.detached) && !self.output.settle(&mut shared.usage);
        let pause = self.stuck || !shared.detached && self.output.bytes() > allowed;
        if pause == self.paused {
            return;
        }
        self.paused = pause;
        let (Phase::Running(process, _) | Phase::Sweeping(process, _)) = &self.phase else { return };
        for pipe in [Pipe::Stdout, Pipe::Stderr] {
            if pause {
                process.pause(pipe, &shared.poll);
            } else if let Err(error) = process.resume(pipe, &shared.poll) {
                eprintln!("attempt {} of {}: its output cannot be watched: {error}", self.id.no, self.id.task);
            }
        }
    }

    /// Whether only time can tell if it may go on: room on a disk comes without notice.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck && !self.has_exited()
    }

    /// SIGTERM to its tree, SIGKILL after `grace`; then it has exited like this.
    pub(super) fn end(&mut self, exit: Exit, grace: Duration) {
        let Phase::Running(process, asked) = &mut self.phase else { return };
        let now = Instant::now();
        let kill_at = now.checked_add(grace).unwrap_or(now);
        match asked {
            Some(asked) => asked.kill_at = asked.kill_at.min(kill_at),
            None => {
                *asked = Some(Asked { exit, kill_at, again: FIRST_LOOK });
                if !grace.is_zero()
                    && let Err(error) = process.tree.terminate()
                {
                    eprintln!("attempt {} of {}: SIGTERM: {error}", self.id.no, self.id.task);
                }
            }
        }
        self.timer = asked.as_ref().map(|asked| asked.kill_at);
    }

    /// The worker wants it to end. Nothing if it has ended by itself already.
    pub(super) fn kill(&mut self, grace: Duration) {
        self.end(Exit::Killed, grace);
    }

    /// It has run for a while.
    pub(super) fn age(&mut self) {
        self.aged = true;
    }

    pub(super) fn on_timer(&mut self, shared: &mut Shared) {
        match &mut self.phase {
            Phase::Running(process, Some(asked)) => {
                if let Err(error) = process.tree.kill() {
                    eprintln!("attempt {} of {}: SIGKILL: {error}", self.id.no, self.id.task);
                }
                process.child().kill();
                self.timer = Some(Instant::now() + asked.again);
                asked.again = LAST_LOOK.min(asked.again * 2);
            }
            Phase::Running(_, None) => {
                self.timer = None;
                if let Some(limit) = self.limit {
                    self.end(Exit::TimedOut(limit), self.grace);
                }
            }
            Phase::Sweeping(..) => self.settle(shared),
            Phase::Exited(_) => self.timer = None,
        }
    }

    /// The child may have ended.
    pub(super) fn on_exit(&mut self, shared: &mut Shared) {
        self.on_loaded(shared);
        let Phase::Running(process, asked) = &mut self.phase else { return };
        let status = match process.child().peek() {
            Ok(Some(status)) => status,
            Ok(None) => return,
            // Nobody else reaps it, so that this cannot be; but then it is gone.
            Err(_) => Status::Signal(libc::SIGKILL),
        };
        process.unwatch_exit(&shared.poll);
        let (exit, ran) = match (asked.take(), self.unloaded.take(), status) {
            (Some(asked), ..) => (asked.exit, self.began.elapsed()),
            (None, Some(why), _) => (Exit::NotStarted(why), Duration::ZERO),
            (None, None, Status::Code(code)) => (Exit::Code(code), self.began.elapsed()),
            (None, None, Status::Signal(signal)) => (Exit::Signal(signal), self.began.elapsed()),
        };
        let run_us = codec::micros(ran);
        let sweep = Sweep { exit, run_us, at: wall(), until: Instant::now() + PATIENCE, again: FIRST_LOOK };
        self.phase = match mem::replace(&mut self.phase, Phase::Exited(not_started(self.id, String::new()))) {
            Phase::Running(process, _) => Phase::Sweeping(process, sweep),
            same @ (Phase::Sweeping(..) | Phase::Exited(_)) => same,
        };
        // The child's own bytes are in the pipes now; whoever else writes gets no more.
        self.drain(shared);
        self.settle(shared);
    }

    fn drain(&mut self, shared: &mut Shared) {
        for pipe in Pipe::ALL {
            let mut read = 0;
            while read < DRAIN_BYTES
                && let Pulled::Bytes(length) = self.pull(pipe, shared)
            {
                read += length;
            }
        }
    }

    /// Kills what is left of the tree; once it is gone, or patience is, the attempt has exited.
    fn settle(&mut self, shared: &mut Shared) {
        let Phase::Sweeping(process, sweep) = &mut self.phase else { return };
        let mut gone = process.tree.is_empty().unwrap_or(false);
        if !gone {
            if let Err(error) = process.tree.kill() {
                eprintln!("attempt {} of {}: killing what is left: {error}", self.id.no, self.id.task);
            }
            gone = process.tree.is_empty().unwrap_or(false);
        }
        let now = Instant::now();
        if !gone && now < sweep.until {
            self.timer = Some(now + sweep.again);
            sweep.again = LAST_LOOK.min(sweep.again * 2);
            return;
        }
        self.drain(shared);
        self.output.mark_all(wall(), &mut shared.usage);
        let last = self.lines.end();
        self.progressed(last);
        let unfinished = Phase::Exited(not_started(self.id, String::new()));
        let Phase::Sweeping(process, sweep) = mem::replace(&mut self.phase, unfinished) else { return };
        process.finish(shared);
        let Sweep { exit, run_us, at, until: _, again: _ } = sweep;
        // Whether a result is too large may show only when the rest of it is read.
        let (exit, result) = match (exit, self.result.take()) {
            (Exit::Code(0), Some(Collected { too_large: true, .. })) => (too_large(), Vec::new()),
            (exit, Some(Collected { bytes, too_large: false })) => (exit, bytes),
            (exit, _) => (exit, Vec::new()),
        };
        let (attempt, totals) = (self.id, self.output.totals());
        self.phase = Phase::Exited(Exited { attempt, exit, totals, result, run_us, tree_gone: gone, at });
        self.timer = None;
    }

    /// Something in the keeper broke while it was dealt with: it ends, and says so.
    pub(super) fn broken(&mut self, shared: &mut Shared) {
        let why = "the keeper failed while it dealt with this attempt".to_owned();
        let exited = Exited {
            attempt: self.id,
            exit: Exit::HandlerError(why),
            totals: self.output.totals(),
            result: Vec::new(),
            run_us: codec::micros(self.began.elapsed()),
            tree_gone: false,
            at: wall(),
        };
        self.timer = None;
        match mem::replace(&mut self.phase, Phase::Exited(exited)) {
            Phase::Running(process, _) | Phase::Sweeping(process, _) => process.abandon(shared),
            Phase::Exited(_) => {}
        }
    }
}

fn too_large() -> Exit {
    Exit::HandlerError(format!("its result is over {} bytes", limits::RESULT_BYTES))
}

fn not_started(attempt: AttemptId, why: String) -> Exited {
    let (totals, result) = Default::default();
    Exited { attempt, exit: Exit::NotStarted(why), totals, result, run_us: 0, tree_gone: true, at: wall() }
}
