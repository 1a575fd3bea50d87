//! Sets of indexes as ranges: an array of a million members is a few numbers.

use crate::{Error, Result, limits};
use std::fmt;

/// Indexes from `first` to `last`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The smallest.
    pub first: u32,
    /// The largest.
    pub last: u32,
}

/// A non-empty set of indexes in ascending order. The place of an index among them, from 0, is its *rank*.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ranges {
    /// Disjoint, ascending, not touching.
    parts: Vec<Range>,
    /// Ranks of the firsts, parallel to `parts`.
    ranks: Vec<u64>,
    len: u64,
}

impl Ranges {
    /// The set of all these.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`]: none, one that ends before it begins, an index that stands twice, an index over
    /// [`limits::ARRAY_INDEX`], or more members than [`limits::ARRAY_MEMBERS`].
    pub fn new(mut parts: Vec<Range>) -> Result<Self> {
        let wrong = |text: String| Err(Error::field("array.ranges", text));
        parts.sort_unstable_by_key(|part| part.first);
        let mut joined: Vec<Range> = Vec::with_capacity(parts.len());
        for part in parts {
            if part.last < part.first {
                return wrong(format!("{}-{} ends before it begins", part.first, part.last));
            }
            if part.last > limits::ARRAY_INDEX {
                return wrong(format!("an index is over {}", limits::ARRAY_INDEX));
            }
            match joined.last_mut() {
                Some(before) if part.first <= before.last => {
                    return wrong(format!("index {} stands twice", part.first));
                }
                Some(before) if part.first == before.last + 1 => before.last = part.last,
                Some(_) | None => joined.push(part),
            }
        }
        let ranges = Self::joined(joined);
        match ranges.len {
            0 => wrong("must not be empty".into()),
            n if n > limits::ARRAY_MEMBERS => wrong(format!("has over {} members", limits::ARRAY_MEMBERS)),
            _ if ranges.parts.len() > limits::ARRAY_RANGES => {
                wrong(format!("has over {} separate ranges", limits::ARRAY_RANGES))
            }
            _ => Ok(ranges),
        }
    }

    fn joined(parts: Vec<Range>) -> Self {
        let mut ranks = Vec::with_capacity(parts.len());
        let mut len = 0;
        for Range { first, last } in &parts {
            ranks.push(len);
            len += u64::from(last - first) + 1;
        }
        Self { parts, ranks, len }
    }

    /// From `1-1000`, `1,5,9`, `1-9:2` (every second) or any of them with commas between.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`], as [`Ranges::new`], or for a text of another form.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::field("array", format!("`{text}` is not of the form 1-1000, 1,5,9 or 0-98:2"));
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| bad());
        let mut parts = Vec::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once(':') {
                Some((range, step)) => (range, number(step)?),
                None => (part, 1),
            };
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(range)?, number(range)?),
            };
            match step {
                0 => return Err(bad()),
                1 => parts.push(Range { first, last }),
                _ if u64::from(last.saturating_sub(first)) / u64::from(step) > limits::ARRAY_RANGES as u64 => {
                    return Err(Error::field("array", format!("has over {} separate ranges", limits::ARRAY_RANGES)));
                }
                _ => parts.extend((first..=last).step_by(step as usize).map(|i| Range { first: i, last: i })),
            }
        }
        Self::new(parts)
    }

    /// The parts: disjoint, ascending.
    pub fn parts(&self) -> &[Range] {
        &self.parts
    }

    /// How many indexes there are. Never 0.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The rank of an index, if it is one of them.
    pub fn rank(&self, index: u32) -> Option<u64> {
        let at = self.parts.partition_point(|part| part.first <= index).checked_sub(1)?;
        let (part, rank) = (self.parts.get(at)?, self.ranks.get(at)?);
        (index <= part.last).then(|| rank + u64::from(index - part.first))
    }

    /// The index of a rank below [`Ranges::len`].
    pub fn index(&self, rank: u64) -> Option<u32> {
        if rank >= self.len {
            return None;
        }
        let at = self.ranks.partition_point(|first| *first <= rank).checked_sub(1)?;
        let (part, first) = (self.parts.get(at)?, self.ranks.get(at)?);
        Some(part.first + u32::try_from(rank - first).ok()?)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Range { first, last }) in self.parts.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_indexes_lead_to_each_other() {
        let ranges = Ranges::parse("7,1-3,10-12,4").unwrap();
        assert_eq!(ranges.to_string(), "1-4,7,10-12");
        let indexes: Vec<u32> = (0..ranges.len()).map(|rank| ranges.index(rank).unwrap()).collect();
        assert_eq!(indexes, [1, 2, 3, 4, 7, 10, 11, 12]);
        for (rank, index) in indexes.iter().enumerate() {
            assert_eq!(ranges.rank(*index), Some(rank as u64));
        }
        for not in [0, 5, 6, 8, 9, 13] {
            assert_eq!(ranges.rank(not), None, "{not}");
        }
        assert_eq!(ranges.index(8), None);
    }

    #[test]
    fn steps_are_indexes_of_their_own() {
        assert_eq!(Ranges::parse("0-9:3").unwrap().to_string(), "0,3,6,9");
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bad in ["", "a", "3-1", "1,1", "1-5,3", "1-", "-1", "1-9:0", "0-999999999", "1000000000", "1-2-3"] {
            assert!(Ranges::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Ranges::parse("1-10000000").unwrap().len(), 10_000_000);
    }
}
