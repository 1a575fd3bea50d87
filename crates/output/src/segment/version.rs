//! Versions of records and footers. They differ in the length of a task's id alone: the first ones were written before
//! there were members of arrays, with 16 bytes. Records of both may lie in one segment; a footer's lines are of one kind.

use super::record::Reader;
use domain::TaskId;

/// Which version. Its magic tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    /// Ids of 16 bytes.
    One,
    /// Ids of [`TaskId::BYTES`].
    Two,
}

impl Version {
    /// What is written.
    pub(super) const NOW: Self = Self::Two;
    /// All there were.
    pub(super) const ALL: [Self; 2] = [Self::One, Self::Two];

    /// What a record begins with.
    pub(super) const fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::One => b"BFR1",
            Self::Two => b"BFR2",
        }
    }

    /// What a footer's trailer begins with.
    pub(super) const fn footer_magic(self) -> &'static [u8; 8] {
        match self {
            Self::One => b"BATONFTR",
            Self::Two => b"BATONFT2",
        }
    }

    /// Bytes of a record's header.
    pub(super) const fn header(self) -> usize {
        68 + self.id()
    }

    /// Bytes of a footer's line.
    pub(super) const fn line(self) -> usize {
        44 + self.id()
    }

    const fn id(self) -> usize {
        match self {
            Self::One => 16,
            Self::Two => TaskId::BYTES,
        }
    }

    /// That of the record that these bytes begin with.
    pub(super) fn of_record(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| bytes.starts_with(version.magic()))
    }

    /// That of the footer whose trailer these bytes begin with.
    pub(super) fn of_footer(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| bytes.starts_with(version.footer_magic()))
    }

    /// Takes a task's id.
    pub(super) fn task(self, reader: &mut Reader<'_>) -> Option<TaskId> {
        match self {
            Self::One => reader.take().map(TaskId::from_uuid_bytes),
            Self::Two => reader.take().map(TaskId::from_bytes),
        }
    }
}
