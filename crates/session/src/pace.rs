//! How much work to hold beyond free slots: only where tasks run for so short that a round trip would be felt.

use std::time::Duration;

/// Work held ahead, at most: long enough for a round trip with a commit, short enough not to be missed elsewhere.
const AHEAD: Duration = Duration::from_millis(50);
/// From this recent run time on nothing is held ahead: a round trip is small against it.
const SHORT: Duration = Duration::from_millis(20);
/// One very long run must not hide the short ones that follow for long.
const SAMPLE_MAX: Duration = Duration::from_secs(1);
/// What the cheapest run costs at least, with everything around it: keeps the window finite.
const SAMPLE_MIN: Duration = Duration::from_micros(20);
/// So many runs are seen before anything is held ahead.
const SAMPLES: u32 = 2;

/// A moving average of recent run times.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Nanoseconds.
    average: u64,
    seen: u32,
}

impl Pace {
    /// Takes in one run.
    pub fn ran(&mut self, length: Duration) {
        let sample = u64::try_from(length.clamp(SAMPLE_MIN, SAMPLE_MAX).as_nanos()).unwrap_or(u64::MAX);
        // Weight 1/8: about the last twenty runs count.
        self.average = if self.seen == 0 { sample } else { self.average - self.average / 8 + sample / 8 };
        self.seen = self.seen.saturating_add(1);
    }

    /// Whether tasks run for so short that a message more would be felt.
    pub fn is_short(&self) -> bool {
        self.seen >= SAMPLES && u128::from(self.average) < SHORT.as_nanos()
    }

    /// How long so many runs take, `slots` at a time.
    pub fn lasts(&self, slots: u32, runs: usize) -> Duration {
        let runs = u64::try_from(runs).unwrap_or(u64::MAX);
        Duration::from_nanos(self.average.saturating_mul(runs) / u64::from(slots.max(1)))
    }

    /// How many starts may be held beyond the free ones of `slots`, at most `max`.
    pub fn window(&self, slots: u32, max: u32) -> u32 {
        if !self.is_short() {
            return 0;
        }
        let fit = AHEAD.as_nanos() * u128::from(slots) / u128::from(self.average.max(1));
        u32::try_from(fit).unwrap_or(u32::MAX).min(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_runs_are_held_ahead() {
        let table: [(&[u64], u32); 6] = [
            (&[], 0),
            (&[1_000], 0),
            (&[1_000; 4], 100),
            (&[10; 4], 512),
            (&[20_000; 4], 0),
            (&[1_000, 1_000, 3_600_000_000], 0),
        ];
        for (runs_us, window) in table {
            let mut pace = Pace::default();
            for us in runs_us {
                pace.ran(Duration::from_micros(*us));
            }
            assert_eq!(pace.window(2, 512), window, "{runs_us:?}");
        }
    }

    #[test]
    fn short_runs_after_a_long_one_count_again() {
        let mut pace = Pace::default();
        pace.ran(Duration::from_secs(3_600));
        for _ in 0..64 {
            pace.ran(Duration::from_millis(1));
        }
        assert!(pace.window(2, 512) > 0);
    }
}
