//! The same samples in each language, and what they print.

use crate::{
    node::{NO_NODE, node},
    python::{python, repository, reversing},
};
use e2e::{Cluster, Process, connected, example, skip};
use std::process::Command;

const SAMPLES: [(&str, &str); 4] = [
    ("follow", "hello\ncompleted with exit code 0\n"),
    ("many", "100 completed\n"),
    ("cancel", "cancelled\n"),
    ("handler", "desserts\n"),
];

/// Runs all of them. `gateway`: its address for this language.
fn run(cluster: &Cluster, gateway: &str, command: impl Fn(&str) -> Command) {
    connected(cluster, 2);
    for (name, wanted) in SAMPLES {
        let output = command(name).arg(gateway).current_dir(cluster.dir()).output().unwrap();
        let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said == wanted, "{name}: {said}{log}");
    }
}

#[test]
fn the_samples_in_rust_do_what_they_say() {
    let mut cluster = Cluster::start(1);
    cluster.workers.push(Some(reversing(&cluster)));
    run(&cluster, &format!("http://{}", cluster.gateway_address), |name| Command::new(example(name)));
}

#[test]
fn the_samples_in_python_do_what_they_say() {
    let Some(python) = python() else { return skip("no Python with grpcio and protobuf") };
    let mut cluster = Cluster::start(1);
    let sample = |name: &str| python.command(&repository("clients/python/samples").join(format!("{name}.py")));
    let mut worker = sample("worker");
    worker.args([&format!("http://{}", cluster.scheduler_address), "sample"]).current_dir(cluster.dir());
    cluster.workers.push(Some(Process::start("sample", cluster.dir(), &mut worker)));
    run(&cluster, &format!("http://{}", cluster.http_address), sample);
}

#[test]
fn the_samples_in_typescript_do_what_they_say() {
    let Some(node) = node() else { return skip(NO_NODE) };
    let mut cluster = Cluster::start(1);
    cluster.workers.push(Some(reversing(&cluster)));
    let sample = |name: &str| node.command(node.built().join(format!("samples/{name}.js")));
    run(&cluster, &format!("http://{}", cluster.http_address), sample);
}
