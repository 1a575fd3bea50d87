//! The process's metrics in Prometheus' text form.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{sync::OnceLock, time::Duration};

/// Histograms are folded so often; without it they would grow between scrapes.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Latencies from 100 µs to 10 s, in seconds: ours lie between a commit and a cancel.
const BUCKETS: [f64; 11] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The recorder of this process, installed by the first call: several services in one process share it.
pub(crate) fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        // Fails only for an empty list; the default (summaries) would do as well.
        let recorder = match builder.set_buckets(&BUCKETS) {
            Ok(builder) => builder.build_recorder(),
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        // Fails only if somebody else recorded first; then /metrics shows what is ours.
        let _ = metrics::set_global_recorder(recorder);
        metrics::describe_gauge!("baton_build_info", "1, with the version of this process as a label");
        metrics::describe_gauge!("baton_connections", "Open TCP connections");
        metrics::gauge!("baton_build_info", "version" => crate::VERSION).set(1.0);
        handle
    })
}
