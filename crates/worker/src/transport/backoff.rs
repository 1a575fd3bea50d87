//! How long to wait before the next try: doubling, bounded, spread out.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest: a scheduler that is back has its workers back within a second.
const LONGEST: Duration = Duration::from_secs(1);

/// The waits between tries.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait: between a half and the whole, so that many workers don't come back at one instant.
    pub fn next(&mut self) -> Duration {
        let whole = self.0;
        self.0 = (whole * 2).min(LONGEST);
        let mut byte = [0];
        // Without randomness they come together, which is no error.
        let _ = getrandom::fill(&mut byte);
        whole / 2 + whole * u32::from(byte[0]) / 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next()).collect();
        for (wait, whole) in waits.iter().zip([100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]) {
            let whole = Duration::from_millis(whole);
            assert!(*wait >= whole / 2 && *wait <= whole, "{wait:?} of {whole:?}");
        }
    }
}
