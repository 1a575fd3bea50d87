//! Times that calls took.

use super::report::rounded;
use crate::failure::Failure;
use hdrhistogram::Histogram;
use serde_json::Value;
use std::time::Duration;

/// Digits that are kept of each time.
const DIGITS: u8 = 3;

/// How long each of many took.
pub struct Times(Histogram<u64>);

impl Times {
    /// None yet.
    pub fn new() -> Result<Self, Failure> {
        Histogram::new(DIGITS).map(Self).map_err(|error| Failure::error(format!("times: {error}")))
    }

    /// One more.
    pub fn add(&mut self, took: Duration) {
        // It grows as needed, so nothing is out of bounds.
        let _ = self.0.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Those of another as well.
    pub fn join(&mut self, other: &Self) {
        // Both grow as needed.
        let _ = self.0.add(&other.0);
    }

    /// In milliseconds.
    pub fn figures(&self) -> Vec<(&'static str, Value)> {
        let ms = |micros: u64| rounded(micros as f64 / 1e3);
        let at = |quantile| ms(self.0.value_at_quantile(quantile));
        vec![
            ("p50_ms", at(0.5)),
            ("p90_ms", at(0.9)),
            ("p99_ms", at(0.99)),
            ("p999_ms", at(0.999)),
            ("max_ms", ms(self.0.max())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_that_were_added() {
        let (mut all, mut more) = (Times::new().unwrap(), Times::new().unwrap());
        (1..=90).for_each(|ms| all.add(Duration::from_millis(ms)));
        (91..=100).for_each(|ms| more.add(Duration::from_millis(ms)));
        all.join(&more);
        let figures: Vec<f64> = all.figures().iter().map(|(_, ms)| ms.as_f64().unwrap().round()).collect();
        assert_eq!(figures, [50.0, 90.0, 99.0, 100.0, 100.0]);
    }
}
