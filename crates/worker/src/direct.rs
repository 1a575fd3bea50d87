//! Direct calls (`ExecuteTask`): attempts that the scheduler doesn't know. They take slots, end with their callers, and
//! nothing of them is kept.

use domain::{AttemptId, AttemptNo, Error, Exit, Frame, Kind, Progress, Result, Spec, StreamName, TaskId};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};
use wire::v1;

/// The shard of direct attempts' ids: no scheduler has it, so that a keeper's can be told apart.
const SHARD: u32 = 0xfff;
/// Progress that waits for its caller. When only one place is left, further progress is dropped: that one is the end's.
const PROGRESS: usize = 16;
/// Bytes of output that the last message carries, of each stream; what is beyond is cut.
const OUTPUT_BYTES: usize = 1024 * 1024;

/// What callers ask of the loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run this.
    Run { spec: Box<Spec>, reply: oneshot::Sender<Result<Running>> },
    /// The caller is gone.
    Abandon(AttemptId),
}

/// A direct call under way.
#[derive(Debug)]
pub(crate) struct Running {
    pub attempt: AttemptId,
    pub progress: mpsc::Receiver<v1::TaskProgress>,
}

/// All direct calls.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    calls: BTreeMap<AttemptId, Call>,
}

#[derive(Debug)]
struct Call {
    to: mpsc::Sender<v1::TaskProgress>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Whether an attempt is a direct one.
pub(crate) fn is_direct(attempt: AttemptId) -> bool {
    attempt.task.shard() == SHARD
}

impl Direct {
    /// Begins a call.
    ///
    /// # Errors
    /// [`Kind::Internal`] without randomness.
    pub fn begin(&mut self, unix_ms: u64) -> Result<Running> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::new(Kind::Internal, format!("no randomness: {error}")))?;
        let random = u64::from_le_bytes(random);
        let task = TaskId::from_parts(unix_ms, SHARD, (random >> 48) as u16, random);
        let attempt = AttemptId { task, no: AttemptNo::FIRST };
        let (to, progress) = mpsc::channel(PROGRESS);
        self.calls.insert(attempt, Call { to, stdout: Vec::new(), stderr: Vec::new() });
        Ok(Running { attempt, progress })
    }

    /// A keeper holds this one from an earlier process: it has no caller any more.
    pub fn orphan(&mut self, attempt: AttemptId) {
        let (to, _) = mpsc::channel(1);
        self.calls.insert(attempt, Call { to, stdout: Vec::new(), stderr: Vec::new() });
    }

    /// How many slots they take.
    pub fn count(&self) -> u32 {
        u32::try_from(self.calls.len()).unwrap_or(u32::MAX)
    }

    /// All of them.
    pub fn attempts(&self) -> Vec<AttemptId> {
        self.calls.keys().copied().collect()
    }

    pub fn started(&self, attempt: AttemptId, unix_ms: u64) {
        let progress = Progress { percent: 0, message: String::new() };
        self.progressed(attempt, progress, unix_ms);
    }

    pub fn progressed(&self, attempt: AttemptId, progress: Progress, unix_ms: u64) {
        let Some(call) = self.calls.get(&attempt).filter(|c| c.to.capacity() > 1) else { return };
        let Progress { percent, message } = progress;
        let _ = call.to.try_send(message_of(attempt, v1::TaskStatus::Running, percent, message, unix_ms));
    }

    pub fn frame(&mut self, frame: Frame) {
        let Some(call) = self.calls.get_mut(&frame.attempt) else { return };
        let into = match frame.stream {
            StreamName::Stdout => &mut call.stdout,
            StreamName::Stderr => &mut call.stderr,
        };
        let room = OUTPUT_BYTES.saturating_sub(into.len()).min(frame.data.len());
        into.extend_from_slice(frame.data.get(..room).unwrap_or_default());
    }

    /// The end: its message is the result or the output or, after a failure, why and what stderr said.
    pub fn exited(&mut self, attempt: AttemptId, exit: &Exit, result: &[u8], unix_ms: u64) {
        let Some(Call { to, stdout, stderr }) = self.calls.remove(&attempt) else { return };
        let status = match exit {
            Exit::Code(0) => v1::TaskStatus::Completed,
            Exit::Code(_) | Exit::Signal(_) | Exit::NotStarted(_) | Exit::HandlerError(_) => v1::TaskStatus::Failed,
            Exit::TimedOut(_) => v1::TaskStatus::TimedOut,
            Exit::Killed => v1::TaskStatus::Cancelled,
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (percent, message) = match (exit.success(), stderr.is_empty()) {
            (true, _) if result.is_empty() => (100, text(&stdout)),
            (true, _) => (100, text(result)),
            (false, true) => (0, exit.text()),
            (false, false) => (0, format!("{}: {}", exit.text(), text(&stderr))),
        };
        // A place was kept for it; without a caller nobody misses it.
        let _ = to.try_send(message_of(attempt, status, percent, message, unix_ms));
    }
}

fn message_of(
    attempt: AttemptId,
    status: v1::TaskStatus,
    percent: u8,
    message: String,
    unix_ms: u64,
) -> v1::TaskProgress {
    v1::TaskProgress {
        task_id: format!("direct-{}", attempt.task),
        status: status.into(),
        progress_percent: percent.into(),
        message,
        timestamp: i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX),
    }
}
