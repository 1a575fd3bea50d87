//! The process's metrics in Prometheus' text form.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{sync::OnceLock, time::Duration};

/// Histograms are folded so often; without it they would grow between scrapes.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Latencies from 100 µs to 10 s, in seconds: ours lie between a commit and a cancel.
const BUCKETS: [f64; 11] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Times from a millisecond to a day, in seconds: how long tasks wait and run.
const LONG_BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 86_400.0];
const LONG: [&str; 2] = ["baton_task_wait_seconds", "baton_worker_run_seconds"];

/// Numbers of things that are handled together.
const COUNT_BUCKETS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0];
const COUNTS: [&str; 2] = ["baton_commit_writes", "baton_mailbox_messages"];

/// Connections that were closed at once, because their address has too many.
pub(crate) const CONNECTIONS_REFUSED: &str = "baton_connections_refused_total";
/// Until when the service's certificate is valid, in Unix seconds.
pub(crate) const VALID_UNTIL: &str = "baton_tls_certificate_valid_until_seconds";

/// The recorder of this process, installed by the first call: several services in one process share it.
pub(crate) fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        // Fails only for an empty list; the default (summaries) would do as well.
        let recorder = builder().unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // Fails only if somebody else recorded first; then /metrics shows what is ours.
        let _ = metrics::set_global_recorder(recorder);
        metrics::describe_gauge!("baton_build_info", "1, with the version of this process as a label");
        metrics::describe_gauge!("baton_connections", "Open TCP connections");
        metrics::describe_counter!(CONNECTIONS_REFUSED, "Connections closed at once: their address has too many");
        metrics::describe_gauge!(VALID_UNTIL, "End of the certificate in Unix seconds; 0 without one");
        metrics::gauge!("baton_connections").set(0.0);
        metrics::counter!(CONNECTIONS_REFUSED).increment(0);
        metrics::gauge!(VALID_UNTIL).set(0.0);
        metrics::gauge!("baton_build_info", "version" => crate::VERSION).set(1.0);
        handle
    })
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new().set_buckets(&BUCKETS)?;
    for (names, buckets) in [(LONG, &LONG_BUCKETS[..]), (COUNTS, &COUNT_BUCKETS[..])] {
        for name in names {
            builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), buckets)?;
        }
    }
    Ok(builder)
}
