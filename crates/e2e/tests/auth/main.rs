//! Who may call what, against the real programs: tokens, scopes, and what becomes of calls without.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod impostor;
mod memory;
mod page;
mod queues;
mod roles;
mod secrets;
mod streams;
mod workers;

use e2e::{Cluster, eventually, http};
use serde_json::Value;
use std::{fs, path::PathBuf, process::Output};

/// A cluster whose callers have to say who they are. Workers are started by the tests, which give them their tokens.
fn guarded() -> Cluster {
    guarded_with(&[])
}

/// With further arguments for its gateway.
fn guarded_with(gateway: &[&str]) -> Cluster {
    let mut cluster = Cluster::empty();
    cluster.scheduler_args = vec!["--auth".into(), "tokens".into()];
    let file = cluster.data_dir().join("gateway.token").display().to_string();
    cluster.gateway_args =
        ["--auth", "tokens", "--token-file", &file].iter().chain(gateway).map(|s| (*s).into()).collect();
    cluster.start_scheduler();
    cluster.start_gateway();
    ready(&cluster);
    cluster
}

/// Waits until the gateway knows the tokens.
fn ready(cluster: &Cluster) {
    eventually("a gateway that is ready", || (http::get(cluster.http_address, "/readyz").status == 200).then_some(()));
}

/// The first administrator's token.
fn admin(cluster: &Cluster) -> String {
    fs::read_to_string(cluster.data_dir().join("admin.token")).unwrap().trim().to_owned()
}

/// The CLI with a token, or none.
fn baton(cluster: &Cluster, token: Option<&str>, args: &[&str]) -> Output {
    let mut command = cluster.baton(args);
    command.env_remove("BATON_TOKEN_FILE");
    if let Some(token) = token {
        command.env("BATON_TOKEN_FILE", file(cluster, token));
    }
    command.output().unwrap()
}

/// A file with this token, which only its owner can read.
fn file(cluster: &Cluster, token: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = cluster.dir().join(format!("{}.token", token.get(6..22).unwrap_or("none")));
    fs::write(&path, token).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A new token: its id and its text.
fn create(cluster: &Cluster, args: &[&str]) -> (String, String) {
    let output = baton(
        cluster,
        Some(&admin(cluster)),
        &[&["--output", "json", "token", "create", "--name", "test"], args].concat(),
    );
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

fn revoke(cluster: &Cluster, id: &str) {
    let output = baton(cluster, Some(&admin(cluster)), &["token", "revoke", id]);
    assert!(output.status.success(), "{output:?}");
}

/// Whether one of these is somewhere in there.
fn holds_any(bytes: &[u8], needles: &[Vec<u8>]) -> bool {
    // By their first two bytes: memory is large.
    let mut begins = vec![false; 1 << 16];
    let two = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    needles.iter().for_each(|needle| begins[two(needle)] = true);
    let mut places = bytes.windows(2).enumerate().filter(|(_, pair)| begins[two(pair)]);
    places.any(|(at, _)| needles.iter().any(|needle| bytes[at..].starts_with(needle)))
}

/// What stands in `Authorization`.
fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What the CLI said and how it ended.
fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
