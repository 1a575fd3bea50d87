//! Arrays: ranges and entries as they travel, and members counted by state (PROTOCOL P5).

use crate::v1;
use domain::{ArraySpec, Counts, Error, Range, Ranges, Result, StateWord, limits};
use std::sync::Arc;

/// The field that wrong entries are named by.
const ENTRIES: &str = "array.entries";

/// Reads what makes a spec that of an array, and its entries.
pub(crate) fn read(wire: Option<v1::TaskArray>) -> Result<(Option<ArraySpec>, Vec<Arc<str>>)> {
    let Some(v1::TaskArray { ranges, entries }) = wire else { return Ok((None, Vec::new())) };
    let ranges = Ranges::new(ranges.into_iter().map(Range::from).collect())?;
    check_entries(&entries, &ranges)?;
    let spec = ArraySpec { ranges, entries: !entries.is_empty() };
    Ok((Some(spec), entries.into_iter().map(Arc::from).collect()))
}

/// Entries are none, or one a member, and may stand in an environment.
pub(crate) fn check_entries(entries: &[String], ranges: &Ranges) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    if entries.len() as u64 != ranges.len() {
        return Err(Error::field(ENTRIES, format!("has {}, for {} members", entries.len(), ranges.len())));
    }
    let mut bytes = 0;
    for (rank, entry) in (0..).zip(entries) {
        let wrong = |what: String| {
            let index = ranges.index(rank).unwrap_or_default();
            Err(Error::field(ENTRIES, format!("that of index {index} {what}")))
        };
        if entry.len() > limits::ENTRY_BYTES {
            return wrong(format!("is over {} bytes", limits::ENTRY_BYTES));
        }
        if entry.contains('\0') {
            return wrong("contains a NUL byte".into());
        }
        bytes += entry.len();
    }
    if bytes > limits::ARRAY_ENTRIES_BYTES {
        return Err(Error::field(ENTRIES, format!("is over {} bytes in all", limits::ARRAY_ENTRIES_BYTES)));
    }
    Ok(())
}

/// An array's ranges as they are shown. Its entries are shown with its members.
pub(crate) fn shown(array: &ArraySpec) -> v1::TaskArray {
    let ArraySpec { ranges, entries: _ } = array;
    v1::TaskArray { ranges: ranges.parts().iter().map(|part| v1::Range::from(*part)).collect(), entries: Vec::new() }
}

impl From<v1::Range> for Range {
    fn from(wire: v1::Range) -> Self {
        let v1::Range { first, last } = wire;
        Self { first, last }
    }
}

impl From<Range> for v1::Range {
    fn from(range: Range) -> Self {
        let Range { first, last } = range;
        Self { first, last }
    }
}

impl From<&Counts> for v1::TaskCounts {
    fn from(counts: &Counts) -> Self {
        Self {
            delayed: counts.get(StateWord::Delayed),
            queued: counts.get(StateWord::Queued),
            backing_off: counts.get(StateWord::BackingOff),
            dispatched: counts.get(StateWord::Dispatched),
            running: counts.get(StateWord::Running),
            cancelling: counts.get(StateWord::Cancelling),
            completed: counts.get(StateWord::Completed),
            failed: counts.get(StateWord::Failed),
            timed_out: counts.get(StateWord::TimedOut),
            cancelled: counts.get(StateWord::Cancelled),
        }
    }
}

impl From<&v1::TaskCounts> for Counts {
    fn from(wire: &v1::TaskCounts) -> Self {
        let v1::TaskCounts {
            delayed,
            queued,
            backing_off,
            dispatched,
            running,
            cancelling,
            completed,
            failed,
            timed_out,
            cancelled,
        } = *wire;
        let mut counts = Self::default();
        for (word, n) in [
            (StateWord::Delayed, delayed),
            (StateWord::Queued, queued),
            (StateWord::BackingOff, backing_off),
            (StateWord::Dispatched, dispatched),
            (StateWord::Running, running),
            (StateWord::Cancelling, cancelling),
            (StateWord::Completed, completed),
            (StateWord::Failed, failed),
            (StateWord::TimedOut, timed_out),
            (StateWord::Cancelled, cancelled),
        ] {
            counts.add(word, n);
        }
        counts
    }
}

/// A queue as it is shown. Members of arrays count, arrays don't.
pub fn v1_queue(name: &str, counts: &Counts, paused: bool) -> v1::QueueInfo {
    v1::QueueInfo { queue: name.into(), paused, tasks: Some(counts.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_each_state_apart() {
        let mut counts = Counts::default();
        for (n, word) in (1..).zip(StateWord::ALL) {
            counts.add(word, n);
        }
        assert_eq!(Counts::from(&v1::TaskCounts::from(&counts)), counts);
    }
}
