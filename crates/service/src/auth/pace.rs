//! How often somebody may call: the generic cell rate algorithm. Of each caller one moment is kept, and time is told.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// So many in a second, and so many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    every: Duration,
    burst: Duration,
}

impl Rate {
    /// `per_second` at least 1; a caller that was quiet has a second's worth at once.
    pub(super) fn per_second(per_second: u32) -> Self {
        let every = Duration::from_secs(1) / per_second.max(1);
        Self { every, burst: Duration::from_secs(1).max(every) }
    }

    /// One call at `now`, which never goes back. `due`: when the calls so far are paid for.
    ///
    /// # Errors
    /// After so long it would be one.
    pub(super) fn take(self, due: &mut Duration, now: Duration) -> Result<(), Duration> {
        let next = (*due).max(now) + self.every;
        match next.checked_sub(now + self.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            Some(_) | None => {
                *due = next;
                Ok(())
            }
        }
    }
}

/// The moments of many callers, but never of more than a bound: when it is full, those that nobody would miss are dropped;
/// if there are none, newcomers share one moment.
#[derive(Debug)]
pub(super) struct Paces<K> {
    rate: Rate,
    most: usize,
    due: HashMap<K, Duration>,
    others: Duration,
}

impl<K: Hash + Eq> Paces<K> {
    pub(super) fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, due: HashMap::new(), others: Duration::ZERO }
    }

    /// As [`Rate::take`], of this caller.
    pub(super) fn take(&mut self, caller: K, now: Duration) -> Result<(), Duration> {
        if let Some(due) = self.due.get_mut(&caller) {
            return self.rate.take(due, now);
        }
        if self.due.len() >= self.most {
            self.due.retain(|_, due| *due > now);
        }
        if self.due.len() >= self.most {
            return self.rate.take(&mut self.others, now);
        }
        self.rate.take(self.due.entry(caller).or_default(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_second_s_worth_at_once_and_then_the_rate() {
        let (rate, mut due) = (Rate::per_second(10), Duration::ZERO);
        assert_eq!((0..20).filter(|_| rate.take(&mut due, ms(5)).is_ok()).count(), 10);
        assert_eq!(rate.take(&mut due, ms(5)), Err(ms(100)));
        assert_eq!(rate.take(&mut due, ms(55)), Err(ms(50)));
        assert_eq!(rate.take(&mut due, ms(105)), Ok(()));
        // Whoever waits as told is served; a minute later a second's worth is there again and no more.
        assert_eq!((0..20).filter(|_| rate.take(&mut due, ms(60_000)).is_ok()).count(), 10);
    }

    #[test]
    fn callers_have_their_own_pace_and_their_number_is_bounded() {
        let mut paces = Paces::new(Rate::per_second(1), 2);
        assert_eq!((paces.take("a", ms(0)), paces.take("b", ms(0))), (Ok(()), Ok(())));
        assert!(paces.take("a", ms(1)).is_err());
        // No room: strangers share one.
        assert_eq!(paces.take("c", ms(1)), Ok(()));
        assert!(paces.take("d", ms(1)).is_err());
        assert_eq!(paces.due.len(), 2);
        // Those that are paid for make room.
        assert_eq!(paces.take("d", ms(5_000)), Ok(()));
        assert_eq!(paces.due.len(), 1);
    }
}
