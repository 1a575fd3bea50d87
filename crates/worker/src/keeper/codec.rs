//! Between messages and values, and between messages and bytes. It decides nothing.

use super::event::{
    Exited, HeldByKeeper, KeeperEvent, KeptAttempt, Launch, LaunchCommand, SpoolFull, SpoolLimits, TaskUser,
};
use super::message as m;
use domain::{
    AttemptId, AttemptNo, Error, Exit, Frame, KillLevel, Progress, Result, ShellRun, StreamName, TaskId, Totals,
    UnixMillis,
};
use prost::Message;
use std::time::Duration;

/// Appends a message with its length in front.
pub(super) fn put(message: &impl Message, out: &mut Vec<u8>) {
    let length = message.encoded_len();
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.reserve(length);
    // A Vec always has room.
    let _ = message.encode(out);
}

/// Takes the next message from the front of `bytes`: it and how many bytes it took, or `None` if it isn't whole yet.
///
/// # Errors
/// It is longer than [`m::MESSAGE_BYTES`] or no such message.
pub(super) fn take<M: Message + Default>(bytes: &[u8]) -> Result<Option<(M, usize)>> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > m::MESSAGE_BYTES {
        return Err(Error::internal(format!("a message of {length} bytes on the keeper's socket")));
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let message = M::decode(body).map_err(|e| Error::internal(format!("on the keeper's socket: {e}")))?;
    Ok(Some((message, length + 4)))
}

fn missing(what: &str) -> Error {
    Error::internal(format!("a message on the keeper's socket lacks its {what}"))
}

pub(super) fn attempt_to(id: AttemptId) -> Option<m::Attempt> {
    let AttemptId { task, no } = id;
    // The short form where it does: a keeper of an earlier build knows no other.
    let task = match task.index() {
        None => task.uuid_bytes().to_vec(),
        Some(_) => task.to_bytes().to_vec(),
    };
    Some(m::Attempt { task, no: no.0 })
}

pub(super) fn attempt_from(attempt: Option<m::Attempt>) -> Result<AttemptId> {
    let m::Attempt { task, no } = attempt.ok_or_else(|| missing("attempt"))?;
    let whole = <[u8; TaskId::BYTES]>::try_from(task.as_slice()).map(TaskId::from_bytes);
    let task = whole.or_else(|_| task.try_into().map(TaskId::from_uuid_bytes)).map_err(|_| missing("task"))?;
    Ok(AttemptId { task, no: AttemptNo(no) })
}

pub(super) fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn launch_to(launch: Launch) -> m::Start {
    let Launch { attempt, command, entry, timeout, grace, user } = launch;
    let run = match command {
        LaunchCommand::Shell(ShellRun { command, args, working_dir, env, stdin }) => {
            m::Run::Shell(m::Shell { command, args, working_dir, env, stdin })
        }
        LaunchCommand::Handler { command, payload, env } => m::Run::Handler(m::Handler { command, payload, env }),
    };
    let (attempt, timeout_us, grace_us) = (attempt_to(attempt), timeout.map(micros), micros(grace));
    let user = user.map(|TaskUser { uid, gid, groups }| m::User { uid, gid, groups });
    m::Start { attempt, run: Some(run), timeout_us, grace_us, entry, user }
}

pub(super) fn launch_from(start: m::Start) -> Result<Launch> {
    let m::Start { attempt, run, timeout_us, grace_us, entry, user } = start;
    let command = match run.ok_or_else(|| missing("command"))? {
        m::Run::Shell(m::Shell { command, args, working_dir, env, stdin }) => {
            LaunchCommand::Shell(ShellRun { command, args, working_dir, env, stdin })
        }
        m::Run::Handler(m::Handler { command, payload, env }) => LaunchCommand::Handler { command, payload, env },
    };
    Ok(Launch {
        attempt: attempt_from(attempt)?,
        command,
        entry,
        timeout: timeout_us.map(Duration::from_micros),
        grace: Duration::from_micros(grace_us),
        user: user.map(|m::User { uid, gid, groups }| TaskUser { uid, gid, groups }),
    })
}

fn totals_to(totals: Totals) -> Option<m::Totals> {
    let Totals { frames, stdout, stderr } = totals;
    Some(m::Totals { frames, stdout, stderr })
}

fn totals_from(totals: Option<m::Totals>) -> Totals {
    let m::Totals { frames, stdout, stderr } = totals.unwrap_or_default();
    Totals { frames, stdout, stderr }
}

pub(super) fn limits_to(limits: SpoolLimits) -> m::Spool {
    let SpoolLimits { attempt_bytes, all_bytes, full } = limits;
    let blocks = match full {
        SpoolFull::Drop => false,
        SpoolFull::Block => true,
    };
    m::Spool { attempt_bytes, all_bytes, blocks }
}

pub(super) fn limits_from(spool: Option<m::Spool>) -> SpoolLimits {
    let Some(m::Spool { attempt_bytes, all_bytes, blocks }) = spool else { return SpoolLimits::default() };
    SpoolLimits { attempt_bytes, all_bytes, full: if blocks { SpoolFull::Block } else { SpoolFull::Drop } }
}

pub(super) fn frame_to(frame: Frame) -> m::Frame {
    let Frame { attempt, number, stream, offset, at, data, dropped } = frame;
    m::Frame {
        attempt: attempt_to(attempt),
        number,
        stderr: match stream {
            StreamName::Stdout => false,
            StreamName::Stderr => true,
        },
        offset,
        at: at.0,
        data,
        dropped,
    }
}

fn frame_from(frame: m::Frame) -> Result<Frame> {
    let m::Frame { attempt, number, stderr, offset, at, data, dropped } = frame;
    let stream = if stderr { StreamName::Stderr } else { StreamName::Stdout };
    Ok(Frame { attempt: attempt_from(attempt)?, number, stream, offset, at: UnixMillis(at), data, dropped })
}

pub(super) fn exited_to(exited: &Exited) -> m::Exited {
    let Exited { attempt, exit, totals, result, run_us, tree_gone, at } = exited.clone();
    let exit = match exit {
        Exit::Code(code) => m::Exit::Code(code),
        Exit::Signal(signal) => m::Exit::Signal(signal),
        Exit::TimedOut(limit) => m::Exit::TimedOut(micros(limit)),
        Exit::NotStarted(why) => m::Exit::NotStarted(why),
        Exit::Killed => m::Exit::Killed(true),
        Exit::HandlerError(why) => m::Exit::HandlerError(why),
    };
    m::Exited {
        attempt: attempt_to(attempt),
        exit: Some(exit),
        totals: totals_to(totals),
        result,
        run_us,
        tree_gone,
        at: at.0,
    }
}

fn exited_from(exited: m::Exited) -> Result<Exited> {
    let m::Exited { attempt, exit, totals, result, run_us, tree_gone, at } = exited;
    let exit = match exit.ok_or_else(|| missing("exit"))? {
        m::Exit::Code(code) => Exit::Code(code),
        m::Exit::Signal(signal) => Exit::Signal(signal),
        m::Exit::TimedOut(limit) => Exit::TimedOut(Duration::from_micros(limit)),
        m::Exit::NotStarted(why) => Exit::NotStarted(why),
        m::Exit::Killed(_) => Exit::Killed,
        m::Exit::HandlerError(why) => Exit::HandlerError(why),
    };
    Ok(Exited {
        attempt: attempt_from(attempt)?,
        exit,
        totals: totals_from(totals),
        result,
        run_us,
        tree_gone,
        at: UnixMillis(at),
    })
}

pub(super) fn held_to(held: HeldByKeeper, protocol: u32) -> m::Held {
    let HeldByKeeper { level, pid, switches_user: _, attempts } = held;
    let attempts = attempts
        .into_iter()
        .map(|KeptAttempt { attempt, exited, totals, released }| m::Kept {
            attempt: attempt_to(attempt),
            exited,
            totals: totals_to(totals),
            released: released.frames,
            released_stdout: released.stdout,
            released_stderr: released.stderr,
        })
        .collect();
    m::Held { protocol, level: level.as_str().into(), pid, attempts, ledger: false }
}

fn held_from(held: m::Held) -> Result<HeldByKeeper> {
    let m::Held { protocol, level, pid, attempts, ledger: _ } = held;
    if !(m::OLDEST..=m::PROTOCOL).contains(&protocol) {
        let text = format!(
            "the keeper (process {pid}) speaks protocol {protocol}, this worker {} to {}; its tasks run on: start the \
             version that it came with, or wait until they have ended and end it",
            m::OLDEST,
            m::PROTOCOL
        );
        return Err(Error::new(domain::Kind::Precondition, text));
    }
    let attempts = attempts
        .into_iter()
        .map(|kept| {
            let m::Kept { attempt, exited, totals, released, released_stdout, released_stderr } = kept;
            let released = Totals { frames: released, stdout: released_stdout, stderr: released_stderr };
            Ok(KeptAttempt { attempt: attempt_from(attempt)?, exited, totals: totals_from(totals), released })
        })
        .collect::<Result<_>>()?;
    let switches_user = protocol >= m::USERS;
    Ok(HeldByKeeper { level: KillLevel::parse(&level), pid, switches_user, attempts })
}

/// A keeper's news as an event; `None` for a kind that only later builds know.
pub(super) fn event_from(message: m::ToWorker) -> Result<Option<KeeperEvent>> {
    let Some(news) = message.news else { return Ok(None) };
    Ok(Some(match news {
        m::News::Held(held) => KeeperEvent::Held(held_from(held)?),
        m::News::Started(m::Started { attempt, at }) => {
            KeeperEvent::Started { attempt: attempt_from(attempt)?, at: UnixMillis(at) }
        }
        m::News::Frame(frame) => KeeperEvent::Frame(frame_from(frame)?),
        m::News::Progressed(m::Progressed { attempt, percent, message }) => KeeperEvent::Progressed {
            attempt: attempt_from(attempt)?,
            progress: Progress { percent: u8::try_from(percent).unwrap_or(100), message },
        },
        m::News::Exited(exited) => KeeperEvent::Exited(exited_from(exited)?),
        // Without its descriptors it says nothing.
        m::News::Custody(_) => return Ok(None),
    }))
}
