//! Seals: what workers remember of the store counts if the scheduler itself has told them, and nobody else can know that.
//!
//! A worker's word alone must never stop the scheduler: anybody with a worker's token could say that commits were lost.

use domain::{Commit, Epoch};
use std::sync::Arc;
use store::{SealKey, Watermark};

/// Bytes of a seal.
const BYTES: usize = 16;

/// Seals marks of one store.
#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    store_id: Arc<str>,
    key: SealKey,
}

impl Sealer {
    pub fn new(store_id: Arc<str>, key: SealKey) -> Self {
        Self { store_id, key }
    }

    /// What goes with a mark that somebody is told.
    pub fn seal(&self, epoch: Epoch, commit: Commit) -> Vec<u8> {
        let hash = self.hash(&self.store_id, epoch, commit);
        hash.as_bytes().iter().take(BYTES).copied().collect()
    }

    /// Whether this mark was told by a scheduler of this store.
    pub fn holds(&self, mark: &Watermark, seal: &[u8]) -> bool {
        let Watermark { store_id, epoch, commit } = mark;
        let hash = self.hash(store_id, *epoch, *commit);
        // All bytes are looked at, whichever of them differ.
        let differing = hash.as_bytes().iter().zip(seal).fold(0, |bits, (ours, theirs)| bits | (ours ^ theirs));
        seal.len() == BYTES && differing == 0
    }

    fn hash(&self, store_id: &str, epoch: Epoch, commit: Commit) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&epoch.0.to_le_bytes()).update(&commit.0.to_le_bytes()).update(store_id.as_bytes());
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_told_holds() {
        let sealer = Sealer::new("s".into(), SealKey([7; 32]));
        let mark = |store: &str, epoch, commit| Watermark {
            store_id: store.into(),
            epoch: Epoch(epoch),
            commit: Commit(commit),
        };
        let seal = sealer.seal(Epoch(3), Commit(9));
        assert!(sealer.holds(&mark("s", 3, 9), &seal));
        for other in [mark("s", 3, 10), mark("s", 4, 9), mark("t", 3, 9), mark("s", 9, 3)] {
            assert!(!sealer.holds(&other, &seal), "{other:?}");
        }
        for bad in [&[][..], &seal[..15], &[0; 16], &[&seal[..], &[0]].concat()] {
            assert!(!sealer.holds(&mark("s", 3, 9), bad), "{bad:?}");
        }
        let other = Sealer::new("s".into(), SealKey([8; 32]));
        assert!(!other.holds(&mark("s", 3, 9), &seal), "another key");
        assert!(!format!("{sealer:?}").contains('7'), "the key isn't shown");
    }
}
