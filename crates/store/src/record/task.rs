//! A task's history: all but its id, spec and entry, which never change, and its result, which lies apart.

use super::attempt::AttemptRecord;
use super::members::MembersRecord;
use super::{Nothing, StampRecord, Unreadable, nanos};
use domain::{Due, Final, Progress, Spec, State, Task, TaskId, UnixMillis, Wait, WorkerId};
use prost::Message;
use std::{sync::Arc, time::Duration};

#[derive(Clone, PartialEq, prost::Message)]
struct TaskRecord {
    #[prost(uint64, tag = "1")]
    ready_seq: u64,
    #[prost(message, optional, tag = "2")]
    accepted: Option<StampRecord>,
    #[prost(message, repeated, tag = "3")]
    ended: Vec<AttemptRecord>,
    #[prost(message, repeated, tag = "4")]
    backed_off: Vec<UntilRecord>,
    #[prost(message, optional, tag = "5")]
    cancel: Option<StampRecord>,
    #[prost(message, optional, tag = "6")]
    finished: Option<StampRecord>,
    #[prost(uint64, tag = "7")]
    events: u64,
    #[prost(uint32, tag = "8")]
    percent: u32,
    #[prost(string, tag = "9")]
    message: String,
    #[prost(int64, tag = "10")]
    updated_ms: i64,
    #[prost(oneof = "StateRecord", tags = "11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21")]
    state: Option<StateRecord>,
    #[prost(message, optional, tag = "22")]
    array: Option<MembersRecord>,
    #[prost(bytes = "vec", optional, tag = "23")]
    retry_of: Option<Vec<u8>>,
}

/// Until when an ended attempt was followed by back-off, if it was.
#[derive(Clone, PartialEq, prost::Message)]
struct UntilRecord {
    #[prost(int64, optional, tag = "1")]
    at_ms: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum StateRecord {
    #[prost(message, tag = "11")]
    Queued(Nothing),
    #[prost(message, tag = "12")]
    BackingOff(DueRecord),
    #[prost(message, tag = "13")]
    Dispatched(AttemptRecord),
    #[prost(message, tag = "14")]
    Running(AttemptRecord),
    #[prost(message, tag = "15")]
    Cancelling(AttemptRecord),
    #[prost(message, tag = "16")]
    Completed(Nothing),
    #[prost(string, tag = "17")]
    Failed(String),
    #[prost(string, tag = "18")]
    TimedOut(String),
    #[prost(message, tag = "19")]
    Cancelled(CancelledRecord),
    #[prost(message, tag = "20")]
    Delayed(DueRecord),
    #[prost(message, tag = "21")]
    Begun(BegunRecord),
}

#[derive(Clone, PartialEq, prost::Message)]
struct DueRecord {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    #[prost(uint64, tag = "2")]
    length_nanos: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CancelledRecord {
    #[prost(string, optional, tag = "1")]
    unconfirmed: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BegunRecord {
    #[prost(bool, tag = "1")]
    cancelling: bool,
}

/// The task's history, without id, spec, entry and result.
pub(crate) fn encode_task(task: &Task) -> Vec<u8> {
    let Task {
        id: _,
        spec: _,
        ready_seq,
        accepted,
        state,
        ended,
        backed_off,
        cancel,
        finished,
        events,
        progress: Progress { percent, message },
        result: _,
        updated,
        array,
        entry: _,
        retry_of,
    } = task;
    TaskRecord {
        ready_seq: *ready_seq,
        accepted: Some((*accepted).into()),
        ended: ended.iter().map(Into::into).collect(),
        backed_off: backed_off.iter().map(|until| UntilRecord { at_ms: until.map(|at| at.0) }).collect(),
        cancel: cancel.map(Into::into),
        finished: finished.map(Into::into),
        events: *events,
        percent: u32::from(*percent),
        message: message.clone(),
        updated_ms: updated.0,
        state: Some(state.into()),
        array: array.as_ref().map(Into::into),
        retry_of: retry_of.map(|task| task.to_bytes().to_vec()),
    }
    .encode_to_vec()
}

/// The task with this history, without entry.
pub(crate) fn decode_task(id: TaskId, spec: Arc<Spec>, bytes: &[u8], result: Vec<u8>) -> Result<Task, Unreadable> {
    let TaskRecord {
        ready_seq,
        accepted,
        ended,
        backed_off,
        cancel,
        finished,
        events,
        percent,
        message,
        updated_ms,
        state,
        array,
        retry_of,
    } = TaskRecord::decode(bytes)?;
    Ok(Task {
        id,
        spec,
        ready_seq,
        accepted: accepted.ok_or_else(|| Unreadable::missing("time of acceptance"))?.into(),
        state: state.ok_or_else(|| Unreadable::missing("state"))?.try_into()?,
        ended: ended.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        backed_off: backed_off.into_iter().map(|UntilRecord { at_ms }| at_ms.map(UnixMillis)).collect(),
        cancel: cancel.map(Into::into),
        finished: finished.map(Into::into),
        events,
        progress: Progress { percent: u8::try_from(percent).unwrap_or(100), message },
        result,
        updated: UnixMillis(updated_ms),
        array: array.map(TryInto::try_into).transpose()?,
        entry: None,
        retry_of: retry_of.map(decode_id).transpose()?,
    })
}

fn decode_id(bytes: Vec<u8>) -> Result<TaskId, Unreadable> {
    bytes.try_into().map(TaskId::from_bytes).map_err(|_| Unreadable::missing("id of 20 bytes"))
}

impl From<Due> for DueRecord {
    fn from(due: Due) -> Self {
        let Due { at, length } = due;
        Self { at_ms: at.0, length_nanos: nanos(length) }
    }
}

impl From<DueRecord> for Due {
    fn from(record: DueRecord) -> Self {
        let DueRecord { at_ms, length_nanos } = record;
        Self { at: UnixMillis(at_ms), length: Duration::from_nanos(length_nanos) }
    }
}

impl From<&State> for StateRecord {
    fn from(state: &State) -> Self {
        match state {
            State::Pending(Wait::Queued) => Self::Queued(Nothing {}),
            State::Pending(Wait::BackingOff(due)) => Self::BackingOff((*due).into()),
            State::Pending(Wait::Delayed(due)) => Self::Delayed((*due).into()),
            State::Dispatched(attempt) => Self::Dispatched(attempt.into()),
            State::Running(attempt) => Self::Running(attempt.into()),
            State::Cancelling(attempt) => Self::Cancelling(attempt.into()),
            State::Begun { cancelling } => Self::Begun(BegunRecord { cancelling: *cancelling }),
            State::Final(Final::Completed) => Self::Completed(Nothing {}),
            State::Final(Final::Failed(why)) => Self::Failed(why.clone()),
            State::Final(Final::TimedOut(why)) => Self::TimedOut(why.clone()),
            State::Final(Final::Cancelled { unconfirmed }) => {
                Self::Cancelled(CancelledRecord { unconfirmed: unconfirmed.as_ref().map(|w| w.as_str().to_owned()) })
            }
        }
    }
}

impl TryFrom<StateRecord> for State {
    type Error = Unreadable;
    fn try_from(record: StateRecord) -> Result<Self, Unreadable> {
        Ok(match record {
            StateRecord::Queued(Nothing {}) => Self::Pending(Wait::Queued),
            StateRecord::BackingOff(due) => Self::Pending(Wait::BackingOff(due.into())),
            StateRecord::Delayed(due) => Self::Pending(Wait::Delayed(due.into())),
            StateRecord::Dispatched(attempt) => Self::Dispatched(attempt.try_into()?),
            StateRecord::Running(attempt) => Self::Running(attempt.try_into()?),
            StateRecord::Cancelling(attempt) => Self::Cancelling(attempt.try_into()?),
            StateRecord::Begun(BegunRecord { cancelling }) => Self::Begun { cancelling },
            StateRecord::Completed(Nothing {}) => Self::Final(Final::Completed),
            StateRecord::Failed(why) => Self::Final(Final::Failed(why)),
            StateRecord::TimedOut(why) => Self::Final(Final::TimedOut(why)),
            StateRecord::Cancelled(CancelledRecord { unconfirmed }) => {
                Self::Final(Final::Cancelled { unconfirmed: unconfirmed.as_deref().map(WorkerId::new) })
            }
        })
    }
}
