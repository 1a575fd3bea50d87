//! Ids as people abbreviate them: a prefix or suffix of the hyphenated text, and a member's index behind a dot.

use domain::{TaskId, limits};
use std::ops::RangeInclusive;

/// Newest tasks that are looked at for a suffix: about 30 ms; older ones need their full id or a prefix.
pub(crate) const SUFFIX_SCAN: usize = 100_000;
/// Hex digits of the id that hold the time.
const TIME_DIGITS: usize = 12;
/// Bits of the row key below the time.
const KEY_BITS: u32 = 15;

/// What people type, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spelling<'a> {
    /// Names the task: `last`, or an abbreviation.
    pub task: &'a str,
    /// Of its members, this one.
    pub index: Option<u32>,
}

impl<'a> Spelling<'a> {
    /// `None` if what is behind the dot is no index, written as ids are.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let Some((task, digits)) = text.split_once('.') else { return Some(Self { task: text, index: None }) };
        let index: u32 = digits.parse().ok().filter(|index| *index <= limits::ARRAY_INDEX)?;
        (index.to_string() == digits).then_some(Self { task, index: Some(index) })
    }
}

/// An abbreviation in lower case. `None` if no id can contain it.
pub(crate) fn abbreviation(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    fits.then(|| text.to_ascii_lowercase())
}

/// The row keys that tasks with this prefix can have.
pub(crate) fn keys_of_prefix(prefix: &str) -> RangeInclusive<i64> {
    let digits: String = prefix.chars().filter(|c| *c != '-').take(TIME_DIGITS).collect();
    if digits.is_empty() {
        return 0..=i64::MAX;
    }
    // Without the most significant bit row keys never exceed i64: 48 + 15 bits.
    let first = i64::from_str_radix(&digits, 16).unwrap_or(0);
    let free = u32::try_from((TIME_DIGITS - digits.len()) * 4).unwrap_or(0) + KEY_BITS;
    first << free..=(first << free | ((1_i64 << free) - 1))
}

/// Whether the id begins with it.
pub(crate) fn begins(id: TaskId, prefix: &str) -> bool {
    id.to_string().starts_with(prefix)
}

/// Whether the id ends with it.
pub(crate) fn ends(id: TaskId, suffix: &str) -> bool {
    id.to_string().ends_with(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_an_id_covers_its_row_key() {
        for ms in [0, 1, 0x0199_a0b2_6d1c, 0xffff_ffff_ffff] {
            let id = TaskId::from_parts(ms, 0, 0x7abc, 0x1234);
            let text = id.to_string();
            for end in 1..=text.len() {
                assert!(keys_of_prefix(&text[..end]).contains(&id.row_key()), "{}", &text[..end]);
            }
        }
        let one = TaskId::from_parts(0x0199_a0b2_6d1c, 0, 1, 1).to_string();
        let other = TaskId::from_parts(0x0199_a0b2_6d1d, 0, 1, 1).row_key();
        assert!(!keys_of_prefix(&one).contains(&other));
    }
}
