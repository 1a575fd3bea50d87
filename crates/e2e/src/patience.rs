//! Waiting for what must come, without saying how soon.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Nothing here takes nearly as long, unless it never happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `probe` gives something.
///
/// # Panics
/// If it doesn't within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says that a test needs something this machine doesn't have.
pub fn skip(why: &str) {
    println!("skipped: {why}");
}
