//! Time as it is handed in; nothing here reads a clock.

use std::{ops, time::Duration};

/// Wall time in milliseconds since 1970, for display and for what must outlive a restart (GUARANTEES G10).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// How long it is until `later`; zero if that is earlier.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

/// Time since an arbitrary moment on one machine's monotonic clock; it means nothing elsewhere or after a restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Monotonic(pub Duration);

impl ops::Add<Duration> for Monotonic {
    type Output = Self;
    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(length))
    }
}

impl Monotonic {
    /// Time since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Both clocks at one moment, as handed to the engine with each input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For leases, timeouts and back-off.
    pub mono: Monotonic,
    /// For display.
    pub wall: UnixMillis,
}

/// A stored deadline: wall time *and* original length, so that a clock that jumped can be clamped (PROTOCOL P3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// When, by the wall clock that set it.
    pub at: UnixMillis,
    /// How long it was when it was set.
    pub length: Duration,
}

impl Due {
    /// A deadline `length` from now.
    pub fn after(now: UnixMillis, length: Duration) -> Self {
        let ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Self { at: UnixMillis(now.0.saturating_add(ms)), length }
    }

    /// What is left of it at `now`: never negative, never more than its length.
    pub fn left(self, now: UnixMillis) -> Duration {
        let ms = u64::try_from(self.at.0.saturating_sub(now.0)).unwrap_or(0);
        Duration::from_millis(ms).min(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_deadline_is_clamped_when_clocks_jump() {
        let due = Due::after(UnixMillis(10_000), Duration::from_secs(5));
        let left = |now| due.left(UnixMillis(now)).as_millis();
        assert_eq!([left(10_000), left(12_000), left(15_000), left(99_000)], [5_000, 3_000, 0, 0]);
        assert_eq!(left(-86_400_000), 5_000, "a clock a day behind doesn't lengthen it");
    }
}
