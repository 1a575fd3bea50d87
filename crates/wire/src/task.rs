//! Tasks as they are shown, ids as they are given, and what the gateway hands the scheduler.

use crate::{spec::one_member, status::task_status, v1};
use domain::{Attempt, Error, Final, Members, Result, Spec, State, StateWord, Task, TaskId, WaitReason};
use std::sync::Arc;

/// Reads a task's id.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming `task_id`, for everything that isn't one, the empty text included.
pub fn task_id(text: &str) -> Result<TaskId> {
    text.parse().map_err(|error| Error::field("task_id", error))
}

/// Reads one task of a submit as the gateway sends it, with an array's entries.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn submit_entry(entry: v1::SubmitEntry) -> Result<(TaskId, Spec, Vec<Arc<str>>)> {
    let v1::SubmitEntry { task_id: id, spec, caller: _ } = entry;
    let id = whole_id(&id)?;
    let spec = crate::unpack(spec.ok_or_else(|| Error::field("spec", "must not be missing"))?)?;
    let (spec, entries) = crate::spec(spec)?;
    Ok((id, spec, entries))
}

/// Reads the two ids of a retry as the gateway sends it: the new task's, and that of the one to repeat.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn retry_ids(new_task_id: &str, id: &str) -> Result<(TaskId, TaskId)> {
    Ok((whole_id(new_task_id).map_err(|_| Error::field("new_task_id", domain::IdError))?, task_id(id)?))
}

/// A new task's id is never that of a member.
fn whole_id(text: &str) -> Result<TaskId> {
    let id = task_id(text)?;
    if id.index().is_some() { Err(Error::field("task_id", "is the id of an array's member")) } else { Ok(id) }
}

impl From<&WaitReason> for v1::Waiting {
    fn from(reason: &WaitReason) -> Self {
        Self { code: reason.code().into(), text: reason.text() }
    }
}

/// A task as it is shown. `waiting` is why it isn't running; `brief` leaves out payload, stdin, result and ranges, as lists
/// do.
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
        progress: _,
        result,
        updated,
        array,
        entry,
        retry_of,
    } = task;
    let mut spec = if brief || id.index().is_some() { one_member(spec) } else { v1::TaskSpec::from(&**spec) };
    if brief {
        strip(&mut spec);
    }
    let (percent, message) = how_far(task);
    v1::Task {
        task_id: id.to_string(),
        spec: Some(spec),
        status: task_status(state.word()).into(),
        state: state.word().as_str().into(),
        waiting_for: waiting.iter().map(v1::Waiting::from).collect(),
        attempts: task.attempts().map(v1::Attempt::from).collect(),
        progress_percent: percent,
        message,
        result: if brief { Vec::new() } else { result.clone() },
        created_at_ms: accepted.at.0,
        updated_at_ms: updated.0,
        finished_at_ms: finished.map_or(0, |stamp| stamp.at.0),
        exit_code: task.exit_code(),
        worker_id: task.worker().map_or_else(String::new, |w| w.as_str().into()),
        retry_of: retry_of.map_or_else(String::new, |of| of.to_string()),
        members: array.as_ref().map(|books| v1::TaskCounts::from(&books.counts)),
        array_id: id.array().map_or_else(String::new, |array| array.to_string()),
        array_index: id.index(),
        entry: entry.as_ref().map(|entry| entry.as_ref().into()),
    }
}

/// Percent and message. An array's follow from its books.
fn how_far(task: &Task) -> (i32, String) {
    let percent = match &task.array {
        Some(books) => final_percent(books),
        None => task.progress.percent.into(),
    };
    match &task.state {
        State::Final(Final::Completed) => (100, Final::Completed.text()),
        State::Final(end) => (percent, end.text()),
        State::Pending(_)
        | State::Dispatched(_)
        | State::Running(_)
        | State::Cancelling(_)
        | State::Begun { cancelling: _ } => match &task.array {
            Some(books) => {
                let (done, all) = (books.counts.sum(StateWord::is_final), books.counts.total());
                (percent, format!("{done} of {all} members final"))
            }
            None => (percent, task.progress.message.clone()),
        },
    }
}

/// How many of a hundred members are final, rounded down: 100 says that all are.
fn final_percent(books: &Members) -> i32 {
    let done = books.counts.sum(StateWord::is_final);
    let percent = done.saturating_mul(100).checked_div(books.counts.total()).unwrap_or(0);
    i32::try_from(percent).unwrap_or(100)
}

fn strip(spec: &mut v1::TaskSpec) {
    spec.payload.clear();
    match &mut spec.run {
        Some(v1::task_spec::Run::Shell(shell)) => shell.stdin.clear(),
        Some(v1::task_spec::Run::Docker(_)) | None => {}
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
