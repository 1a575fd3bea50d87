//! Entries of arrays' members, in blocks.

use super::apply::{int, uint};
use super::rows::{blob, fault};
use crate::record::{blocks, decode_entries};
use crate::{Failure, Reason};
use rusqlite::Connection;
use std::sync::Arc;

/// Stores entries from the rank `first` on.
pub(super) fn put(conn: &Connection, array: i64, first: u64, entries: &[Arc<str>]) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached("INSERT INTO entries(array, first, block) VALUES (?1, ?2, ?3)")?;
    blocks(first, entries).try_for_each(|(first, block)| statement.execute((array, int(first), block)).map(drop))
}

/// Finds entries by rank, and keeps the block that the last one was in: who asks goes on beside it.
pub(super) struct Finder<'c> {
    conn: &'c Connection,
    array: i64,
    first: u64,
    block: Vec<Arc<str>>,
}

impl<'c> Finder<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self { conn, array: 0, first: 0, block: Vec::new() }
    }

    /// The entry of this rank, if the array has entries.
    pub(super) fn entry(&mut self, array: i64, rank: u64) -> Result<Option<Arc<str>>, Failure> {
        if self.array != array || self.held(rank).is_none() {
            self.read(array, rank)?;
        }
        Ok(self.held(rank).cloned())
    }

    fn held(&self, rank: u64) -> Option<&Arc<str>> {
        self.block.get(usize::try_from(rank.checked_sub(self.first)?).ok()?)
    }

    fn read(&mut self, array: i64, rank: u64) -> Result<(), Failure> {
        (self.array, self.first) = (array, 0);
        self.block.clear();
        let mut statement = self.conn.prepare_cached(BLOCK).map_err(fault)?;
        let mut rows = statement.query([array, int(rank)]).map_err(fault)?;
        if let Some(row) = rows.next().map_err(fault)? {
            self.first = uint(row.get(0).map_err(fault)?);
            self.block = decode_entries(blob(row, 1)?)
                .map_err(|error| Failure::Definite(Reason::Other(format!("entries of {array}: {error}"))))?;
        }
        Ok(())
    }
}

/// The block that holds a rank.
pub(super) const BLOCK: &str =
    "SELECT first, block FROM entries WHERE array = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";
