//! Clients that follow a task while the gateway dies and comes back: they miss nothing and hear nothing twice.

use crate::{
    node::{NO_NODE, node},
    python::python,
};
use e2e::{Cluster, Gate, Process, shell, skip};
use std::{path::PathBuf, process::Command};

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Starts a follower, kills the gateway once it has heard something, and has the task go on afterwards.
fn follow(follower: impl Fn(&str, &str) -> Command) {
    let mut cluster = Cluster::start(1);
    let gate = Gate::new(cluster.dir(), "gate");
    let line = format!("echo one; {}; echo two", gate.line());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let id = runtime.block_on(async { cluster.client().submit_task(shell(&line)).await.unwrap().into_inner().task_id });
    let mut command = follower(&format!("http://{}", cluster.http_address), &id);
    let mut follower = Process::start("follower", cluster.dir(), command.current_dir(cluster.dir()));
    assert_eq!(follower.line(), "one");
    cluster.kill_gateway();
    assert_eq!(follower.line(), "broken");
    cluster.start_gateway();
    gate.open();
    assert_eq!(follower.line(), "two");
    let story = runtime.block_on(async { e2e::story(&cluster.client(), &id, true).await });
    let numbers: Vec<String> = (1..=story.len()).map(|number| number.to_string()).collect();
    assert_eq!(follower.line(), format!("completed {}", numbers.join(" ")));
    assert_eq!(follower.ended().code(), Some(0), "{}", follower.log());
}

#[test]
fn a_python_watch_goes_on_behind_the_last_event_when_the_gateway_is_back() {
    let Some(python) = python() else { return skip("no Python") };
    follow(|gateway, id| {
        let mut command = python.command(&script("follow.py"));
        command.args([gateway, id]);
        command
    });
}

#[test]
fn a_typescript_stream_goes_on_behind_the_last_event_when_the_gateway_is_back() {
    let Some(node) = node() else { return skip(NO_NODE) };
    follow(|gateway, id| {
        let mut command = node.command(script("follow.mjs"));
        command.arg(node.built().join("src/index.js")).args([gateway, id]);
        command
    });
}
