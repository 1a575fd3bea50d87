//! What one caller may take, and that the others don't notice: heads, bodies, streams, handshakes, silence (docs/limits.md).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod connections;
mod streams;

use e2e::{Cluster, Process, http::http, memory_mib};

/// What others see meanwhile: they are answered, and a task of theirs is accepted.
fn others_are_served(cluster: &Cluster) {
    assert_eq!(http(cluster.http_address, "GET", "/healthz", &[], "").status, 200);
    let answer = http(cluster.http_address, "POST", "/tasks", &[], r#"{"name": "x", "shell": {"command": "true"}}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The gateway's memory, in MiB.
fn gateway_mib(cluster: &Cluster) -> f64 {
    cluster.gateway.as_ref().map_or(0.0, |gateway: &Process| memory_mib(gateway, "VmRSS"))
}
