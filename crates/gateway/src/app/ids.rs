//! Draws task ids (PROTOCOL P1): never the same row key twice, and no counter for outsiders.

use domain::{Error, Result, SHARD, TaskId};
use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// Row keys of one millisecond.
const KEYS: u16 = 1 << 15;
/// Random words fetched at once: a system call for each id would cost as much as the rest of a submit.
const WORDS: usize = 256;

/// Shared by all who draw. The lock is held for nanoseconds: nothing is waited for under it.
#[derive(Debug, Default)]
pub(crate) struct Ids(Mutex<Drawer>);

impl Ids {
    /// An id for a task of now.
    pub(crate) fn draw(&self) -> Result<TaskId> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let mut drawer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drawer.draw(now).map_err(|error| Error::internal(format!("no randomness: {error}")))
    }

    /// Another id for a task that was not accepted.
    pub(crate) fn renew(&self, id: &mut String) -> Result<()> {
        *id = self.draw()?.to_string();
        Ok(())
    }
}

/// Where the next id comes from.
#[derive(Debug, Default)]
struct Drawer {
    /// The millisecond of the latest id; it may run ahead of the clock, and never goes back with it.
    ms: u64,
    /// The latest key bits of this millisecond.
    key: u16,
    random: Vec<u64>,
}

impl Drawer {
    fn draw(&mut self, unix_ms: u64) -> Result<TaskId, getrandom::Error> {
        let random = self.random()?;
        if unix_ms > self.ms {
            self.start(unix_ms, random);
        } else if self.key + 1 < KEYS {
            self.key += 1;
        } else {
            self.start(self.ms + 1, random);
        }
        Ok(TaskId::from_parts(self.ms, SHARD, self.key, random))
    }

    /// Each millisecond's keys begin at a random place, in the lower half so that there is room to count.
    fn start(&mut self, ms: u64, random: u64) {
        self.ms = ms;
        // The bits that the id itself doesn't show.
        self.key = (random >> 48) as u16 % (KEYS / 2);
    }

    fn random(&mut self) -> Result<u64, getrandom::Error> {
        if let Some(word) = self.random.pop() {
            return Ok(word);
        }
        let mut bytes = [0; WORDS * 8];
        getrandom::fill(&mut bytes)?;
        self.random = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        self.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_keys_always_grow_even_if_the_clock_stands_or_goes_back() {
        let mut ids = Drawer::default();
        let mut last = -1;
        for n in 0..100_000_u64 {
            // Bursts in one millisecond, steps forward, and a clock that jumps back by a minute now and then.
            let ms = 1_000_000 + n / 50_000 - if n % 1_000 == 7 { 60_000 } else { 0 };
            let key = ids.draw(ms).unwrap().row_key();
            assert!(key > last, "{n}: {key} after {last}");
            last = key;
        }
    }

    #[test]
    fn ids_carry_the_time_and_differ_in_their_random_part() {
        let mut ids = Drawer::default();
        let (a, b) = (ids.draw(77_000).unwrap(), ids.draw(77_000).unwrap());
        assert_eq!((a.unix_ms(), a.shard()), (77_000, SHARD));
        assert_ne!(&a.to_bytes()[10..], &b.to_bytes()[10..]);
    }
}
