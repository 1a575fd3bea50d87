//! When a submit waits for the scheduler, and when its caller is told at once that nobody is there.

use service::Readiness;
use std::time::Duration;
use tokio::time::Instant;

/// Services that are started together need not be started in order: so long the gateway waits for a scheduler that it has
/// never seen.
const STARTING: Duration = Duration::from_secs(5);

/// Whether a submit waits a moment for a scheduler that is not there.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    readiness: Readiness,
    started: Instant,
}

impl Patience {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self { readiness, started: Instant::now() }
    }

    /// It was there a moment ago, or may be starting as well.
    pub(crate) fn is_worthwhile(&self) -> bool {
        self.readiness.is_ready() || self.started.elapsed() < STARTING
    }
}
