//! Tasks as they are shown, ids as they are given, and what the gateway hands the scheduler.

use crate::{status::task_status, v1};
use domain::{Attempt, Error, Result, Spec, State, Task, TaskId, WaitReason};

/// Reads a task's id.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming `task_id`, for everything that isn't one, the empty text included.
pub fn task_id(text: &str) -> Result<TaskId> {
    text.parse().map_err(|error| Error::field("task_id", error))
}

/// Reads one task of a submit as the gateway sends it.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn submit_entry(entry: v1::SubmitEntry) -> Result<(TaskId, Spec)> {
    let v1::SubmitEntry { task_id: id, spec } = entry;
    let spec = spec.ok_or_else(|| Error::field("spec", "must not be missing"))?;
    Ok((task_id(&id)?, Spec::try_from(spec)?))
}

impl From<&WaitReason> for v1::Waiting {
    fn from(reason: &WaitReason) -> Self {
        Self { code: reason.code().into(), text: reason.text() }
    }
}

/// A task as it is shown. `waiting` is why it isn't running; `brief` leaves out payload, stdin and result, as lists do.
pub fn v1_task(task: &Task, waiting: &[WaitReason], brief: bool) -> v1::Task {
    let Task {
        id,
        spec,
        ready_seq: _,
        accepted,
        state,
        ended: _,
        backed_off: _,
        cancel: _,
        finished,
        events: _,
        progress,
        result,
        updated,
    } = task;
    let mut spec = v1::TaskSpec::from(&**spec);
    if brief {
        strip(&mut spec);
    }
    let (percent, message) = match state {
        State::Final(domain::Final::Completed) => (100, domain::Final::Completed.text()),
        State::Final(end) => (progress.percent, end.text()),
        State::Pending(_) | State::Dispatched(_) | State::Running(_) | State::Cancelling(_) => {
            (progress.percent, progress.message.clone())
        }
    };
    v1::Task {
        task_id: id.to_string(),
        spec: Some(spec),
        status: task_status(state.word()).into(),
        state: state.word().as_str().into(),
        waiting_for: waiting.iter().map(v1::Waiting::from).collect(),
        attempts: task.attempts().map(v1::Attempt::from).collect(),
        progress_percent: percent.into(),
        message,
        result: if brief { Vec::new() } else { result.clone() },
        created_at_ms: accepted.at.0,
        updated_at_ms: updated.0,
        finished_at_ms: finished.map_or(0, |stamp| stamp.at.0),
        exit_code: task.exit_code(),
        worker_id: task.worker().map_or_else(String::new, |w| w.as_str().into()),
    }
}

fn strip(spec: &mut v1::TaskSpec) {
    spec.payload.clear();
    match &mut spec.run {
        Some(v1::task_spec::Run::Shell(shell)) => shell.stdin.clear(),
        None => {}
    }
}

impl From<&Attempt> for v1::Attempt {
    fn from(attempt: &Attempt) -> Self {
        let Attempt { no, worker, incarnation: _, dispatched, started, ended, totals } = attempt;
        let ending = ended.as_ref().map(|(_, ending)| ending);
        Self {
            number: no.0,
            worker_id: worker.as_str().into(),
            dispatched_at_ms: dispatched.at.0,
            started_at_ms: started.map_or(0, |stamp| stamp.at.0),
            ended_at_ms: ended.as_ref().map_or(0, |(stamp, _)| stamp.at.0),
            outcome: ending.map_or_else(String::new, |ending| ending.text()),
            exit_code: ending.and_then(|ending| ending.exit()).map(|exit| exit.code()),
            stdout_bytes: totals.stdout,
            stderr_bytes: totals.stderr,
        }
    }
}
