//! What a row has counted, as one line of JSON.

use crate::{ms, percentile};
use serde_json::{Map, Value, json};
use std::{ops::Range, time::Duration};

/// Of what broke, so much is told on the line.
const BROKEN_CHARS: usize = 2_000;

/// The books of one row.
pub struct Report {
    row: &'static str,
    times: u32,
    seed: u64,
    /// Whether times are judged: `make chaos` does, the tests, which share their machine, don't.
    judged: bool,
    /// State of the draws (SplitMix64).
    state: u64,
    tried: u64,
    lost: u64,
    duplicated: u64,
    wrong: u64,
    refused: u64,
    recoveries: Vec<Duration>,
    figures: Map<String, Value>,
    skipped: Option<String>,
    broken: Vec<String>,
    took: Duration,
}

impl Report {
    pub(super) fn new(row: &'static str, times: u32, seed: u64, judged: bool) -> Self {
        Self {
            row,
            times,
            seed,
            judged,
            state: seed,
            tried: 0,
            lost: 0,
            duplicated: 0,
            wrong: 0,
            refused: 0,
            recoveries: Vec::new(),
            figures: Map::new(),
            skipped: None,
            broken: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// So many tasks, calls or streams were exposed to the fault.
    pub fn tried(&mut self, count: usize) {
        self.tried += count as u64;
    }

    /// So many acknowledged things are gone. Any breaks the promise.
    pub fn lost(&mut self, count: usize) {
        self.lost += count as u64;
    }

    /// So many things happened twice that may happen once. Any breaks the promise.
    pub fn duplicated(&mut self, count: usize) {
        self.duplicated += count as u64;
    }

    /// So many things came back other than they were. Any breaks the promise.
    pub fn wrong(&mut self, count: usize) {
        self.wrong += count as u64;
    }

    /// So many things were refused, as they should be.
    pub fn refused(&mut self, count: usize) {
        self.refused += count as u64;
    }

    /// After a fault everything was as before, so long after the repair began.
    pub fn recovered(&mut self, after: Duration) {
        self.recoveries.push(after);
    }

    /// Promises that no recovery took longer. Judged by `make chaos` alone.
    pub fn must_recover_within(&mut self, limit: Duration) {
        let slowest = self.slowest();
        self.must(!self.judged || slowest < limit, || format!("back after {slowest:?}; promised: {limit:?}"));
    }

    fn slowest(&self) -> Duration {
        self.recoveries.iter().max().copied().unwrap_or_default()
    }

    /// A number that belongs to the row.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.into(), value.into());
    }

    /// States a promise.
    pub fn must(&mut self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds {
            self.broken(promise());
        }
    }

    /// A promise was broken.
    pub fn broken(&mut self, text: String) {
        self.broken.push(text.chars().take(BROKEN_CHARS).collect());
    }

    /// The row needs what this machine doesn't have.
    pub fn skip(&mut self, why: &str) {
        self.skipped = Some(why.into());
    }

    /// A number from the range, repeated by the same seed.
    pub fn draw(&mut self, range: Range<u64>) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        range.start + (mixed ^ (mixed >> 31)) % (range.end - range.start).max(1)
    }

    pub(super) fn ended(&mut self, took: Duration) {
        self.took = took;
        for (count, what) in [(self.lost, "lost"), (self.duplicated, "duplicated"), (self.wrong, "wrong")] {
            if count > 0 {
                self.broken.push(format!("{count} {what}"));
            }
        }
    }

    /// Whether all promises were kept.
    pub fn kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// The line.
    pub fn json(&self) -> Value {
        let mut recoveries = self.recoveries.clone();
        recoveries.sort_unstable();
        let mut line = json!({
            "row": self.row, "times": self.times, "seed": format!("{:#x}", self.seed), "kept": self.kept(),
            "tried": self.tried, "lost": self.lost, "duplicated": self.duplicated, "wrong": self.wrong,
            "refused": self.refused, "seconds": self.took.as_secs_f64().round(),
        });
        if !recoveries.is_empty() {
            line["recovery_ms"] = json!({ "p50": ms(percentile(&recoveries, 50)), "max": ms(self.slowest()) });
        }
        if !self.figures.is_empty() {
            line["figures"] = Value::Object(self.figures.clone());
        }
        if let Some(why) = &self.skipped {
            line["skipped"] = why.as_str().into();
        }
        if !self.kept() {
            line["broken"] = self.broken.as_slice().into();
        }
        line
    }
}
