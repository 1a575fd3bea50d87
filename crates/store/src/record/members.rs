//! An array's books on its members.

use super::{StampRecord, Unreadable};
use domain::{Counts, Members, StateWord, UnixMillis};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MembersRecord {
    #[prost(uint64, tag = "1")]
    next: u64,
    #[prost(uint64, tag = "2")]
    early: u64,
    /// The place of a number is its state's code.
    #[prost(uint64, repeated, tag = "3")]
    counts: Vec<u64>,
    #[prost(message, optional, tag = "4")]
    begun: Option<StampRecord>,
    #[prost(int64, optional, tag = "5")]
    closed_ms: Option<i64>,
}

impl From<&Members> for MembersRecord {
    fn from(members: &Members) -> Self {
        let Members { next, early, counts, begun, closed } = members;
        let codes = (0..).map_while(StateWord::from_code);
        Self {
            next: *next,
            early: *early,
            counts: codes.map(|word| counts.get(word)).collect(),
            begun: begun.map(Into::into),
            closed_ms: closed.map(|at| at.0),
        }
    }
}

impl TryFrom<MembersRecord> for Members {
    type Error = Unreadable;
    fn try_from(record: MembersRecord) -> Result<Self, Unreadable> {
        let MembersRecord { next, early, counts: numbers, begun, closed_ms } = record;
        let mut counts = Counts::default();
        for (code, n) in (0..).zip(numbers) {
            let word = StateWord::from_code(code).ok_or_else(|| Unreadable::missing("state of this code"))?;
            counts.add(word, n);
        }
        Ok(Self { next, early, counts, begun: begun.map(Into::into), closed: closed_ms.map(UnixMillis) })
    }
}
