//! The form in which tasks lie in the store: protobuf, so that fields can be added without a migration.
//!
//! Numbers never change their meaning. Must never drop a field silently: conversions destructure every one.

mod attempt;
mod class;
mod entries;
mod frame;
mod members;
mod spec;
mod task;

pub(crate) use class::{decode_class, encode_class};
pub(crate) use entries::{blocks, decode_entries};
pub(crate) use frame::{decode_frames, encode_frames};
pub(crate) use spec::{decode_spec, encode_spec, input};
pub(crate) use task::{decode_task, encode_task};

use domain::{Stamp, UnixMillis};
use std::{fmt, time::Duration};

/// Stored bytes that this build cannot read: damaged, or from a newer version.
#[derive(Debug)]
pub(crate) struct Unreadable(String);

impl Unreadable {
    fn missing(what: &str) -> Self {
        Self(format!("no {what}, or one of a newer version"))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable record: {}", self.0)
    }
}

impl From<prost::DecodeError> for Unreadable {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// A variant without data.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StampRecord {
    #[prost(uint64, tag = "1")]
    event: u64,
    #[prost(int64, tag = "2")]
    at_ms: i64,
}

impl From<Stamp> for StampRecord {
    fn from(stamp: Stamp) -> Self {
        let Stamp { event, at } = stamp;
        Self { event, at_ms: at.0 }
    }
}

impl From<StampRecord> for Stamp {
    fn from(record: StampRecord) -> Self {
        let StampRecord { event, at_ms } = record;
        Self { event, at: UnixMillis(at_ms) }
    }
}

/// Nanoseconds; what is longer than 584 years becomes that.
fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
