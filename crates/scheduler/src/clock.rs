//! The clocks: read here, and handed to the driver.

use domain::{Monotonic, Now, UnixMillis};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
        Now { mono: Monotonic(self.start.elapsed()), wall: UnixMillis(i64::try_from(wall).unwrap_or(i64::MAX)) }
    }

    /// The moment of a deadline, for sleeping.
    pub fn instant(self, due: Monotonic) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + due.0)
    }
}
