//! Clocks: each node has its own, which began at some time, runs at some rate, and shows some wall time. Nobody may compare
//! two of them (GUARANTEES G10).

use crate::rng::Rng;
use domain::{Monotonic, Now, UnixMillis};
use std::time::Duration;

/// The wall clock's time at the world's beginning, on a node whose clock is right.
const EPOCH_MS: i64 = 1_700_000_000_000;
/// The most that a clock is fast or slow, in parts per thousand: far more than any real one.
const DRIFT: u64 = 60;
/// A day: how far wall clocks are off.
const DAY_MS: u64 = 86_400_000;

/// A node's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    begun: Duration,
    /// Its milliseconds in 1,000 true ones.
    permille: u32,
    wall_off_ms: i64,
}

impl Clock {
    /// Any clock: `straight` ones run right and show the right time, and only began at another time.
    pub fn draw(rng: &mut Rng, straight: bool) -> Self {
        let begun = rng.ms(0, DAY_MS);
        let (rate, off) = (rng.below(2 * DRIFT + 1), rng.below(2 * DAY_MS + 1));
        if straight {
            return Self { begun, permille: 1_000, wall_off_ms: 0 };
        }
        let wall_off_ms = i64::try_from(off).unwrap_or(0) - i64::try_from(DAY_MS).unwrap_or(0);
        Self { begun, permille: u32::try_from(1_000 - DRIFT + rate).unwrap_or(1_000), wall_off_ms }
    }

    /// What it shows at a true time.
    pub fn read(&self, truth: Monotonic) -> Now {
        let mono = Monotonic(self.begun + truth.0 * self.permille / 1_000);
        let since = i64::try_from(truth.0.as_millis()).unwrap_or(0);
        Now { mono, wall: UnixMillis(EPOCH_MS + since + self.wall_off_ms) }
    }

    /// When it is true that this clock shows so much. Never too early.
    pub fn truth(&self, shown: Monotonic) -> Monotonic {
        let since = shown.0.saturating_sub(self.begun);
        Monotonic(since * 1_000 / self.permille + Duration::from_nanos(2))
    }

    /// How long so much of its time really takes.
    pub fn really(&self, length: Duration) -> Duration {
        length.checked_mul(1_000).map_or(Duration::MAX, |long| long / self.permille)
    }
}
