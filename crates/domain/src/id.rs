//! Identities: tasks, attempts, workers, epochs.

use std::{fmt, str::FromStr, sync::Arc};

/// The only shard there is today. Ids and orders carry it, so that there can be more.
pub const SHARD: u32 = 0;

/// A task's id: a UUID of version 7 whose 12 `rand_a` bits hold the shard (PROTOCOL P1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u128);

/// Why a text is no task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a task id (a UUID such as 0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88)")]
pub struct IdError;

impl TaskId {
    /// Builds an id from its parts: `unix_ms` (48 bits used), `shard` (12 bits used), 15 bits that make the row key
    /// unique within the millisecond, and 47 random bits.
    pub fn from_parts(unix_ms: u64, shard: u32, key_bits: u16, random: u64) -> Self {
        let high = (unix_ms & 0xffff_ffff_ffff) << 16 | 0x7000 | u64::from(shard & 0xfff);
        let low = 0b10 << 62 | u64::from(key_bits & 0x7fff) << 47 | random & 0x7fff_ffff_ffff;
        Self(u128::from(high) << 64 | u128::from(low))
    }

    /// The row key: timestamp and the 15 bits after it, so that an id needs no index. Never negative.
    pub fn row_key(self) -> i64 {
        let ms = (self.0 >> 80) as u64 & 0xffff_ffff_ffff;
        let bits = (self.0 >> 47) as u64 & 0x7fff;
        (ms << 15 | bits) as i64
    }

    /// Unix milliseconds at which the gateway drew the id.
    pub fn unix_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The shard that owns the task.
    pub fn shard(self) -> u32 {
        (self.0 >> 64) as u32 & 0xfff
    }

    /// The 16 bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From 16 bytes, most significant first.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TaskId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        // Only the hyphenated form: it is what we print, and one id has one spelling.
        if text.len() != 36 {
            return Err(IdError);
        }
        uuid::Uuid::try_parse(text).map(|u| Self(u.as_u128())).map_err(|_| IdError)
    }
}

/// The number of an attempt of a task, from 1. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptNo(pub u32);

impl AttemptNo {
    /// The first attempt.
    pub const FIRST: Self = Self(1);
    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One execution of a task: the fence of every order and report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// Which execution of it.
    pub no: AttemptNo,
}

/// A worker's name, unique among those connected: 1 to 200 printable characters without blanks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    /// Takes any text; validation stands at the edge ([`crate::Hello::check`], [`crate::Spec::check`]).
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A worker's data directory on one boot (PROTOCOL P1): a restarted process keeps it, a rebooted machine does not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Incarnation(pub Arc<str>);

/// The reign of one scheduler over the store: each opening of the store takes the next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_parts_and_its_text() {
        let id = TaskId::from_parts(0x0199_a0b2_6d1c, 5, 0x7abc, 0x1234_5678_9abc);
        assert_eq!((id.unix_ms(), id.shard()), (0x0199_a0b2_6d1c, 5));
        assert_eq!(id.row_key(), (0x0199_a0b2_6d1c_i64 << 15) | 0x7abc);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(TaskId::from_bytes(id.to_bytes()), id);
        assert_eq!(&id.to_string()[14..15], "7");
    }

    #[test]
    fn row_keys_grow_with_time_and_then_with_the_key_bits() {
        let key = |ms, bits| TaskId::from_parts(ms, 0, bits, 7).row_key();
        assert!(key(1, 0x7fff) < key(2, 0) && key(2, 0) < key(2, 1));
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        for bad in ["", "1", "last", "0199a0b26d1c70008a4f3c2b1d0e9f88", "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9fzz"] {
            assert_eq!(bad.parse::<TaskId>(), Err(IdError), "{bad}");
        }
    }
}
