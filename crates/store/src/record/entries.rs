//! Entries of an array's members in blocks: a row an entry would cost more than the entry.

use super::Unreadable;
use prost::Message;
use std::sync::Arc;

/// Entries in a block at most: one is read to find one of them.
const ENTRIES: usize = 1_000;
/// Bytes of a block's entries at most, unless a single one is longer.
const BYTES: usize = 64 * 1024;

#[derive(Clone, PartialEq, prost::Message)]
struct BlockRecord {
    #[prost(string, repeated, tag = "1")]
    entries: Vec<String>,
}

/// Cuts entries into blocks: the rank of each block's first, and its bytes.
pub(crate) fn blocks(first: u64, entries: &[Arc<str>]) -> impl Iterator<Item = (u64, Vec<u8>)> + '_ {
    let (mut rank, mut rest) = (first, entries);
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(ENTRIES).take_while(|entry| {
            bytes += entry.len();
            bytes <= BYTES
        });
        let (block, behind) = rest.split_at_checked(fits.count().max(1))?;
        let record = BlockRecord { entries: block.iter().map(|entry| entry.as_ref().to_owned()).collect() };
        let at = rank;
        (rank, rest) = (rank + block.len() as u64, behind);
        Some((at, record.encode_to_vec()))
    })
}

/// A block's entries.
pub(crate) fn decode_entries(bytes: &[u8]) -> Result<Vec<Arc<str>>, Unreadable> {
    Ok(BlockRecord::decode(bytes)?.entries.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_bounded_and_hold_everything_in_order() {
        let mut entries: Vec<Arc<str>> = (0..2_500).map(|n| n.to_string().into()).collect();
        entries.push("x".repeat(BYTES + 1).into());
        entries.extend([Arc::from(""), "y".repeat(BYTES).into(), "z".into()]);
        let mut rank = 7;
        for (first, bytes) in blocks(7, &entries) {
            let block = decode_entries(&bytes).unwrap();
            let size: usize = block.iter().map(|entry| entry.len()).sum();
            assert_eq!(first, rank);
            assert!(block.len() <= ENTRIES && (size <= BYTES || block.len() == 1), "{} {size}", block.len());
            let from = (rank - 7) as usize;
            assert_eq!(block, entries[from..from + block.len()]);
            rank += block.len() as u64;
        }
        assert_eq!(rank - 7, entries.len() as u64);
        assert_eq!(blocks(0, &[]).count(), 0);
    }
}
