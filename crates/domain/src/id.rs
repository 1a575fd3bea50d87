//! Identities: tasks, attempts, workers, epochs.

use std::{fmt, str::FromStr, sync::Arc};

/// The only shard there is today. Ids and orders carry it, so that there can be more.
pub const SHARD: u32 = 0;

/// A task's id: a UUID of version 7 whose 12 `rand_a` bits hold the shard (PROTOCOL P1); of an array's member, the array's
/// with the member's index behind a dot (P5). Ids are ordered by row key, then by index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TaskId {
    high: u64,
    low: u64,
    /// Index + 1; 0 for what isn't a member. It keeps the id at 24 bytes: millions are held at times.
    member: u32,
}

/// Why a text is no task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a task id (a UUID such as 0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88, with .INDEX behind it for a member of an array)"
)]
pub struct IdError;

impl TaskId {
    /// Length of [`TaskId::to_bytes`].
    pub const BYTES: usize = 20;

    /// Builds an id from its parts: `unix_ms` (48 bits used), `shard` (12 bits used), 15 bits that make the row key
    /// unique within the millisecond, and 47 random bits.
    pub fn from_parts(unix_ms: u64, shard: u32, key_bits: u16, random: u64) -> Self {
        let high = (unix_ms & 0xffff_ffff_ffff) << 16 | 0x7000 | u64::from(shard & 0xfff);
        let low = 0b10 << 62 | u64::from(key_bits & 0x7fff) << 47 | random & 0x7fff_ffff_ffff;
        Self { high, low, member: 0 }
    }

    /// The member of this array with this index, at most [`crate::limits::ARRAY_INDEX`].
    pub fn member(self, index: u32) -> Self {
        Self { member: index.saturating_add(1), ..self }
    }

    /// The index, of a member.
    pub fn index(self) -> Option<u32> {
        self.member.checked_sub(1)
    }

    /// The array, of a member.
    pub fn array(self) -> Option<Self> {
        (self.member > 0).then_some(Self { member: 0, ..self })
    }

    /// The array of a member, anything else itself: what has a row key and a spec.
    pub fn whole(self) -> Self {
        Self { member: 0, ..self }
    }

    /// The row key: timestamp and the 15 bits after it, so that an id needs no index. Never negative. An array's members
    /// have the array's.
    pub fn row_key(self) -> i64 {
        let ms = self.high >> 16;
        let bits = self.low >> 47 & 0x7fff;
        (ms << 15 | bits) as i64
    }

    /// Unix milliseconds at which the gateway drew the id.
    pub fn unix_ms(self) -> u64 {
        self.high >> 16
    }

    /// The shard that owns the task.
    pub fn shard(self) -> u32 {
        self.high as u32 & 0xfff
    }

    /// The UUID's 16 bytes, most significant first: without the index.
    pub fn uuid_bytes(self) -> [u8; 16] {
        (u128::from(self.high) << 64 | u128::from(self.low)).to_be_bytes()
    }

    /// From a UUID's 16 bytes, most significant first.
    pub fn from_uuid_bytes(bytes: [u8; 16]) -> Self {
        let id = u128::from_be_bytes(bytes);
        Self { high: (id >> 64) as u64, low: id as u64, member: 0 }
    }

    /// The whole id: the UUID, then four bytes of index + 1, 0 for what isn't a member.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.uuid_bytes());
        bytes[16..].copy_from_slice(&self.member.to_be_bytes());
        bytes
    }

    /// From [`TaskId::to_bytes`].
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut uuid, mut member) = ([0; 16], [0; 4]);
        uuid.copy_from_slice(&bytes[..16]);
        member.copy_from_slice(&bytes[16..]);
        Self { member: u32::from_be_bytes(member), ..Self::from_uuid_bytes(uuid) }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = uuid::Uuid::from_bytes(self.uuid_bytes());
        match self.index() {
            None => uuid.as_hyphenated().fmt(f),
            Some(index) => write!(f, "{}.{index}", uuid.as_hyphenated()),
        }
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
        let (uuid, index) = match text.split_once('.') {
            Some((uuid, index)) => (uuid, Some(index)),
            None => (text, None),
        };
        // Only the hyphenated form, and no leading zeros: it is what we print, and one id has one spelling.
        if uuid.len() != 36 {
            return Err(IdError);
        }
        let id = uuid::Uuid::try_parse(uuid).map(|u| Self::from_uuid_bytes(u.into_bytes())).map_err(|_| IdError)?;
        let Some(index) = index else { return Ok(id) };
        let number: u32 = index.parse().map_err(|_| IdError)?;
        let plain = number.to_string() == index && number <= crate::limits::ARRAY_INDEX;
        plain.then(|| id.member(number)).ok_or(IdError)
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
    /// Whether a worker can be called that.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`] says why not.
    pub fn check(&self) -> crate::Result<()> {
        crate::spec::check_id("worker_id", &self.0)
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
        assert_eq!(TaskId::from_uuid_bytes(id.uuid_bytes()), id);
        assert_eq!(&id.to_string()[14..15], "7");
    }

    #[test]
    fn row_keys_grow_with_time_and_then_with_the_key_bits() {
        let key = |ms, bits| TaskId::from_parts(ms, 0, bits, 7).row_key();
        assert!(key(1, 0x7fff) < key(2, 0) && key(2, 0) < key(2, 1));
    }

    #[test]
    fn a_member_is_its_array_and_an_index() {
        let array = TaskId::from_parts(1, 0, 2, 3);
        let member = array.member(0);
        assert_eq!((member.index(), member.array(), member.whole()), (Some(0), Some(array), array));
        assert_eq!((array.index(), array.array()), (None, None));
        assert_eq!(member.to_string(), format!("{array}.0"));
        assert_eq!(member.to_string().parse(), Ok(member));
        assert_eq!(TaskId::from_bytes(member.to_bytes()), member);
        assert!(array < member && member < array.member(1) && array.member(9) < TaskId::from_parts(1, 0, 3, 0));
        for bad in [".", ".-1", ".01", ".x", ".1.2", ".4294967295"] {
            assert_eq!(format!("{array}{bad}").parse::<TaskId>(), Err(IdError), "{bad}");
        }
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        for bad in ["", "1", "last", "0199a0b26d1c70008a4f3c2b1d0e9f88", "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9fzz"] {
            assert_eq!(bad.parse::<TaskId>(), Err(IdError), "{bad}");
        }
    }
}
