//! The HTTP door against the real programs, from outside: curl, plain sockets, npm's `eventsource`, a browser, a Docker
//! engine, schemathesis.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod containers;
mod documented;
mod eventsource;
mod readers;
mod refused;
mod statuses;
mod waiting;

use e2e::{Cluster, http};
use serde_json::json;
use std::path::PathBuf;

/// Submits a shell line for any worker.
fn submit(cluster: &Cluster, line: &str) -> String {
    let answer = http::post(cluster.http_address, "/tasks/shell", &json!({ "cmd": line }));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["task_id"].as_str().unwrap().to_owned()
}

fn stream(id: &str) -> String {
    format!("/stream?ref={id}")
}

/// The whole story as it was sent.
fn story(cluster: &Cluster, id: &str) -> Vec<http::Event> {
    let events: Vec<_> = http::Events::open(cluster.http_address, &stream(id), None).collect();
    assert!(events.last().is_some_and(http::Event::is_final), "{events:?}");
    events
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/http").join(name)
}

/// Something that the test setup has installed.
fn tool(path: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("BATON_TEST_TOOLS").map(PathBuf::from)?;
    Some(tools.join(path)).filter(|path| path.exists())
}
