//! Moments as people write them: `2026-01-31T06:00:00Z`, or so long from now.

use crate::duration;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads a moment as Unix milliseconds.
pub fn time(text: &str) -> Result<i64, String> {
    let stamp: Result<jiff::Timestamp, _> = text.trim().parse();
    let stamp = stamp.map_err(|_| "is no time (write it like 2026-01-31T06:00:00Z or 2026-01-31T07:00:00+01:00)")?;
    match stamp.as_millisecond() {
        // 0 would mean at once.
        ms @ 1..=domain::limits::RUN_AT_MS => Ok(ms),
        _ => Err("must be a time between 1970 and the year 2200".into()),
    }
}

/// Reads how long from now.
pub fn delay(text: &str) -> Result<Duration, String> {
    duration::parse(text)
}

/// So long after a moment.
pub fn after(now_ms: i64, delay: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

/// Unix milliseconds by this machine's clock.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_say_where_on_earth() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1_000));
        assert_eq!(time("2026-01-31T07:00:00.5+01:00"), Ok(1_769_839_200_500));
        for bad in ["", "soon", "2026-01-31", "2026-01-31T06:00:00", "1969-01-01T00:00:00Z", "2300-01-01T00:00:00Z"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
