//! Attempts and how they ended.

use super::{Nothing, StampRecord, Unreadable, nanos};
use domain::{Attempt, AttemptNo, Ending, Exit, Incarnation, Totals, WorkerId};
use std::time::Duration;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AttemptRecord {
    #[prost(uint32, tag = "1")]
    no: u32,
    #[prost(string, tag = "2")]
    worker: String,
    #[prost(string, tag = "3")]
    incarnation: String,
    #[prost(message, optional, tag = "4")]
    dispatched: Option<StampRecord>,
    #[prost(message, optional, tag = "5")]
    started: Option<StampRecord>,
    #[prost(message, optional, tag = "6")]
    ended: Option<StampRecord>,
    #[prost(uint64, tag = "7")]
    frames: u64,
    #[prost(uint64, tag = "8")]
    stdout: u64,
    #[prost(uint64, tag = "9")]
    stderr: u64,
    #[prost(oneof = "EndingRecord", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19")]
    ending: Option<EndingRecord>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum EndingRecord {
    #[prost(sint32, tag = "10")]
    Code(i32),
    #[prost(int32, tag = "11")]
    Signal(i32),
    #[prost(uint64, tag = "12")]
    TimedOutNanos(u64),
    #[prost(string, tag = "13")]
    NotStarted(String),
    #[prost(message, tag = "14")]
    Killed(Nothing),
    #[prost(string, tag = "15")]
    HandlerError(String),
    #[prost(message, tag = "16")]
    Lost(Nothing),
    #[prost(string, tag = "17")]
    Refused(String),
    #[prost(message, tag = "18")]
    Recalled(Nothing),
    #[prost(message, tag = "19")]
    Abandoned(Nothing),
}

impl From<&Attempt> for AttemptRecord {
    fn from(attempt: &Attempt) -> Self {
        let Attempt { no, worker, incarnation, dispatched, started, ended, totals } = attempt;
        let Totals { frames, stdout, stderr } = *totals;
        Self {
            no: no.0,
            worker: worker.as_str().to_owned(),
            incarnation: incarnation.0.as_ref().to_owned(),
            dispatched: Some((*dispatched).into()),
            started: started.map(Into::into),
            ended: ended.as_ref().map(|(stamp, _)| (*stamp).into()),
            frames,
            stdout,
            stderr,
            ending: ended.as_ref().map(|(_, ending)| ending.into()),
        }
    }
}

impl TryFrom<AttemptRecord> for Attempt {
    type Error = Unreadable;
    fn try_from(record: AttemptRecord) -> Result<Self, Unreadable> {
        let AttemptRecord { no, worker, incarnation, dispatched, started, ended, frames, stdout, stderr, ending } =
            record;
        let ended = match (ended, ending) {
            (None, None) => None,
            (Some(stamp), Some(ending)) => Some((stamp.into(), ending.into())),
            (Some(_), None) | (None, Some(_)) => return Err(Unreadable::missing("ending")),
        };
        Ok(Self {
            no: AttemptNo(no),
            worker: WorkerId::new(&worker),
            incarnation: Incarnation(incarnation.into()),
            dispatched: dispatched.ok_or_else(|| Unreadable::missing("time of dispatch"))?.into(),
            started: started.map(Into::into),
            ended,
            totals: Totals { frames, stdout, stderr },
        })
    }
}

impl From<&Ending> for EndingRecord {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Exited(Exit::Code(code)) => Self::Code(*code),
            Ending::Exited(Exit::Signal(signal)) => Self::Signal(*signal),
            Ending::Exited(Exit::TimedOut(limit)) => Self::TimedOutNanos(nanos(*limit)),
            Ending::Exited(Exit::NotStarted(why)) => Self::NotStarted(why.clone()),
            Ending::Exited(Exit::Killed) => Self::Killed(Nothing {}),
            Ending::Exited(Exit::HandlerError(why)) => Self::HandlerError(why.clone()),
            Ending::Lost => Self::Lost(Nothing {}),
            Ending::Refused(why) => Self::Refused(why.clone()),
            Ending::Recalled => Self::Recalled(Nothing {}),
            Ending::Abandoned => Self::Abandoned(Nothing {}),
        }
    }
}

impl From<EndingRecord> for Ending {
    fn from(record: EndingRecord) -> Self {
        match record {
            EndingRecord::Code(code) => Self::Exited(Exit::Code(code)),
            EndingRecord::Signal(signal) => Self::Exited(Exit::Signal(signal)),
            EndingRecord::TimedOutNanos(limit) => Self::Exited(Exit::TimedOut(Duration::from_nanos(limit))),
            EndingRecord::NotStarted(why) => Self::Exited(Exit::NotStarted(why)),
            EndingRecord::Killed(Nothing {}) => Self::Exited(Exit::Killed),
            EndingRecord::HandlerError(why) => Self::Exited(Exit::HandlerError(why)),
            EndingRecord::Lost(Nothing {}) => Self::Lost,
            EndingRecord::Refused(why) => Self::Refused(why),
            EndingRecord::Recalled(Nothing {}) => Self::Recalled,
            EndingRecord::Abandoned(Nothing {}) => Self::Abandoned,
        }
    }
}
