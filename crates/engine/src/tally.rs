//! Tallies: how the numbers of tasks by class and state change, gathered for the batch that changes them.

use crate::ClassId;
use domain::{ClassKey, Counts, StateWord, Tally};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Default)]
pub(crate) struct Tallies {
    changes: BTreeMap<ClassId, (Arc<ClassKey>, [i64; StateWord::COUNT])>,
}

impl Tallies {
    /// So many more tasks of a class are in this state, or fewer if it is negative.
    pub fn add(&mut self, id: ClassId, class: &Arc<ClassKey>, word: StateWord, by: i64) {
        let (_, changes) = self.changes.entry(id).or_insert_with(|| (Arc::clone(class), [0; StateWord::COUNT]));
        if let Some(n) = changes.get_mut(usize::from(word.code())) {
            *n += by;
        }
    }

    /// Takes what was gathered.
    pub fn take(&mut self) -> Vec<Tally> {
        let mut tallies = Vec::new();
        for (class, changes) in std::mem::take(&mut self.changes).into_values() {
            for word in StateWord::ALL {
                let by = changes.get(usize::from(word.code())).copied().unwrap_or(0);
                if by != 0 {
                    tallies.push(Tally { class: Arc::clone(&class), word, by });
                }
            }
        }
        tallies
    }
}

/// Applies tallies to numbers that don't tell classes apart.
pub fn apply(counts: &mut Counts, tallies: &[Tally]) {
    // First what is added: a number may pass through another class on its way.
    for up in [true, false] {
        for tally in tallies.iter().filter(|tally| (tally.by > 0) == up) {
            counts.change(tally.word, tally.by);
        }
    }
}
