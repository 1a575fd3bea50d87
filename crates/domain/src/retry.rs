//! When a failed attempt is tried again, and what follows one that was lost.

use std::time::Duration;

/// Back-off between the attempts of one task: 1 s, doubled each time, at most 5 min, each ± 20 % (PROTOCOL P5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// How many failed attempts are followed by another one.
    pub max_retries: u32,
}

/// What follows an attempt whose worker is out of contact for too long, or came back without it (PROTOCOL P1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum OnLost {
    /// Another attempt, which isn't counted in `max_retries`. The two may overlap: nobody knows what the first one does.
    #[default]
    Retry,
    /// The task fails: it is started at most once.
    Fail,
    /// Nothing is concluded from silence: the task stays where it is until its worker is back, it is cancelled, or the
    /// worker is forgotten. So two attempts never overlap.
    Wait,
}

impl OnLost {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Fail, Self::Wait];

    /// As shown on all surfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fail => "fail",
            Self::Wait => "wait",
        }
    }

    /// From what is shown.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|on_lost| on_lost.as_str() == text)
    }

    /// The number that the store keeps. Never changes; 0 is what tasks have that were stored before there was a choice.
    pub fn code(self) -> u8 {
        match self {
            Self::Retry => 0,
            Self::Fail => 1,
            Self::Wait => 2,
        }
    }

    /// From the store's number.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|on_lost| u32::from(on_lost.code()) == code)
    }
}

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(300);

impl RetryPolicy {
    /// How long to wait after the `failures`-th failure (from 1), or `None` if that was the last allowed one.
    /// `salt` decides the jitter: equal salts give equal delays, so that the engine stays deterministic.
    pub fn delay(self, failures: u32, salt: u64) -> Option<Duration> {
        if failures > self.max_retries {
            return None;
        }
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let base = u64::try_from(doubled.min(CAP).as_millis()).unwrap_or(u64::MAX);
        // SplitMix64's finaliser: spreads neighbouring salts over the whole range.
        let mut x = salt ^ u64::from(failures).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let permille = 800 + (x ^ (x >> 31)) % 401;
        Some(Duration::from_millis(base * permille / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_cap_and_ends() {
        let policy = RetryPolicy { max_retries: 12 };
        for (failures, base_ms) in [(1, 1_000), (2, 2_000), (5, 16_000), (9, 256_000), (10, 300_000), (12, 300_000)] {
            for salt in 0..200 {
                let ms = policy.delay(failures, salt).map_or(0, |d| d.as_millis());
                assert!(ms >= base_ms * 80 / 100 && ms <= base_ms * 120 / 100, "{failures} {salt}: {ms}");
            }
        }
        assert_eq!(policy.delay(13, 0), None);
        assert_eq!(RetryPolicy { max_retries: 0 }.delay(1, 0), None);
    }

    #[test]
    fn jitter_differs_between_tasks() {
        let policy = RetryPolicy { max_retries: 1 };
        let delays: std::collections::BTreeSet<_> = (0..100).map(|salt| policy.delay(1, salt)).collect();
        assert!(delays.len() > 50);
    }
}
