//! Durations as people write them: `300ms`, `5s`, `1h30m`.

use std::time::Duration;

/// Reads a duration. A number alone is refused: it doesn't say of what.
pub fn parse(text: &str) -> Result<Duration, String> {
    let bad = |_| "is no duration (write it like 300ms, 5s, 5m or 1h30m)".to_owned();
    let signed: jiff::SignedDuration = text.trim().parse().map_err(bad)?;
    let duration = Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())?;
    if duration < Duration::from_millis(1) {
        return Err("must be at least 1ms".to_owned());
    }
    if duration > domain::limits::TIMEOUT {
        return Err("must be at most 30 days".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_durations_in_these_ways() {
        for (text, ms) in [("300ms", 300), ("5s", 5_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1h 30m", 5_400_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "5", "-5s", "0s", "soon", "31d", "721h", "1us"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
