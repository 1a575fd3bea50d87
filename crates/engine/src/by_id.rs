//! A map by task id, for what is looked up several times in each task's life: walking down an ordered map costs ten times as
//! much.
//!
//! Must never be walked: its order means nothing, and nothing may hang on it. What is walked keeps its own order.

use domain::TaskId;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map by task id.
#[derive(Debug)]
pub(crate) struct ById<V>(HashMap<TaskId, V, BuildHasherDefault<IdHasher>>);

impl<V> Default for ById<V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<V> ById<V> {
    pub fn get(&self, id: &TaskId) -> Option<&V> {
        self.0.get(id)
    }

    pub fn get_mut(&mut self, id: &TaskId) -> Option<&mut V> {
        self.0.get_mut(id)
    }

    pub fn contains_key(&self, id: &TaskId) -> bool {
        self.0.contains_key(id)
    }

    pub fn insert(&mut self, id: TaskId, value: V) {
        self.0.insert(id, value);
    }

    pub fn remove(&mut self, id: &TaskId) -> Option<V> {
        self.0.remove(id)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// An odd number with its bits spread evenly (2⁶⁴ over the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Ids are drawn at random by a gateway, not chosen by clients, so their bits need little mixing, and always the same: equal
/// runs must be equal.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        // Both halves of the product: each bit of the input moves bits everywhere.
        let product = u128::from(self.0 ^ n ^ SPREAD) * u128::from(SPREAD);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, hash::Hash as _};

    #[test]
    fn neighbours_fall_into_different_places() {
        let hash = |id: TaskId| {
            let mut hasher = IdHasher::default();
            id.hash(&mut hasher);
            hasher.finish()
        };
        let array = TaskId::from_parts(7, 0, 0, 1);
        let ids = (0..4_096_u32).flat_map(|n| [array.member(n), TaskId::from_parts(7, 0, n as u16, 1)]);
        let hashes: Vec<u64> = ids.map(hash).collect();
        for bits in [0..13, 51..64] {
            let places: BTreeSet<u64> = hashes.iter().map(|hash| hash >> bits.start & 0x1fff).collect();
            assert!(places.len() > 8_192 / 2, "{} of {} in bits {bits:?}", places.len(), hashes.len());
        }
    }
}
