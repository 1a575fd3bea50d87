//! Whether the gateway can do its job, as /readyz says.

use super::App;
use wire::v1::HealthCheckResponse;

impl App {
    pub(crate) fn health(&self) -> HealthCheckResponse {
        HealthCheckResponse { healthy: self.readiness.is_ready(), version: service::VERSION.into() }
    }
}
