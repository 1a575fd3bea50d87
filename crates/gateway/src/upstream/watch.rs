//! Looks after the scheduler: is it there, and can it do its job?

use super::Upstream;
use service::Readiness;
use std::time::Duration;
use wire::v1::HealthCheckRequest;

/// /readyz is at most so old.
const EVERY: Duration = Duration::from_secs(1);
/// A scheduler that needs longer can't serve callers either.
const WITHIN: Duration = Duration::from_secs(2);
/// The name of this condition on /readyz.
pub(crate) const SCHEDULER: &str = "scheduler";

impl Upstream {
    /// Keeps the readiness up to date. Never returns.
    pub(crate) async fn watch(&self, readiness: Readiness) {
        readiness.waiting(SCHEDULER, self.away().text());
        loop {
            self.bearer.refresh();
            let mut calls = self.calls();
            match tokio::time::timeout(WITHIN, calls.health_check(HealthCheckRequest {})).await {
                Ok(Ok(answer)) if answer.get_ref().healthy => readiness.done(SCHEDULER),
                Ok(Ok(_)) => readiness.waiting(SCHEDULER, format!("the scheduler at {} is not ready", self.url)),
                Ok(Err(status)) => readiness.waiting(SCHEDULER, self.error(&status).text()),
                Err(_) => readiness.waiting(SCHEDULER, self.silent().text()),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
