//! `baton bench`, and the run beside its peers: figures of real work, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, binary, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// On services of its own, below this directory.
fn bench(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary("baton"));
    command.args(["--output", "json", "bench", "--slots", "2", "--dir"]).arg(dir).args(args).current_dir(dir);
    command
}

fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Processes whose command line or directory names this one.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of = processes.filter_map(|process| {
        let line = String::from_utf8_lossy(&std::fs::read(process.path().join("cmdline")).ok()?).into_owned();
        let cwd = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
        (line.contains(dir) || cwd.starts_with(dir)).then_some(line)
    });
    of.collect()
}

fn nothing_is_left(dir: &Path) {
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "{}", dir.display());
    assert_eq!(processes_of(dir), [] as [String; 0]);
}

#[test]
fn each_kind_measures_services_of_its_own_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let kinds: [(&[&str], &str); 8] = [
        (&["tasks", "--tasks", "300", "--batch", "50"], "tasks_per_s"),
        (&["tasks", "--tasks", "20", "--", "true"], "tasks_per_s"),
        (&["submit", "--tasks", "60", "--clients", "4", "--connections", "2"], "submits_per_s"),
        (&["latency", "--tasks", "20"], "p99_ms"),
        (&["latency", "--tasks", "20", "--rate", "50", "--", "true"], "p50_ms"),
        (&["output", "--bytes", "3MiB", "--follow"], "mib_per_s"),
        (&["backlog", "--array", "1000", "--tasks", "500"], "ready_after_kill_ms"),
        (&["idle", "--for", "1s"], "worker_mib"),
    ];
    for (args, figure) in kinds {
        let report = figures(&bench(dir.path(), args).output().unwrap());
        assert_eq!(report["bench"].as_str(), args.first().copied(), "{report}");
        assert!(report["figures"][figure].as_f64().unwrap() > 0.0, "{args:?}: {report}");
        assert!(report["figures"]["failed"].as_u64().unwrap_or(0) == 0, "{report}");
        for condition in ["machine", "system", "durability", "disk", "services"] {
            assert!(report["conditions"][condition].as_str().is_some_and(|text| !text.is_empty()), "{report}");
        }
        nothing_is_left(dir.path());
    }
}

#[test]
fn running_services_are_measured_if_it_is_said_with_what() {
    let cluster = Cluster::start(2);
    let output = cluster.baton(&["bench", "tasks", "--running", "--tasks", "5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let args = ["--output", "json", "bench", "tasks", "--running", "--tasks", "5", "--", "exit 3"];
    let report = figures(&cluster.baton(&args).output().unwrap());
    assert_eq!(report["figures"]["failed"].as_u64(), Some(6), "those that ran first count as well: {report}");
    let args = ["--output", "json", "bench", "submit", "--running", "--tasks", "7", "--", "true"];
    assert_eq!(figures(&cluster.baton(&args).output().unwrap())["figures"]["tasks"].as_u64(), Some(7));
    let queues = cluster.baton(&["--output", "json", "queues"]).output().unwrap();
    let queues: Vec<Value> = serde_json::from_slice(&queues.stdout).unwrap();
    let count = |state: &str| -> u64 { queues.iter().filter_map(|queue| queue["tasks"][state].as_u64()).sum() };
    assert_eq!((count("failed"), count("cancelled"), count("queued")), (6, 7, 0), "{queues:?}");
    assert!(queues.iter().all(|queue| queue["paused"] == false), "{queues:?}");
}

#[test]
fn ctrl_c_ends_what_was_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = bench(dir.path(), &["latency", "--tasks", "1000", "--", "sleep 1000"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("a task", || processes_of(dir.path()).iter().any(|line| line.starts_with("sleep")).then_some(()));
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    nothing_is_left(dir.path());
}

/// The run beside its peers, with none installed and few tasks; figures go to the file.
fn peers(dir: &Path, rows: &str, scale: &str, json: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/peers/run.mjs"));
    command.env("BATON_BIN_DIR", binary("baton").parent().unwrap()).env("PEERS_TOOLS", dir.join("none"));
    command.env("PEERS_DIR", dir).env("PEERS_JSON", json).envs([("ROWS", rows), ("SCALE", scale)]);
    command.envs([("ROUNDS", "1"), ("SYNCS", "0")]);
    command
}

fn node() -> bool {
    Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_peer_that_is_not_there_is_shown_as_not_run() {
    if !node() {
        return e2e::skip("node is not installed");
    }
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let json = out.path().join("figures");
    let output = peers(dir.path(), "submit,processes,queued,output", "0.001", &json).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let lines = report["lines"].as_array().unwrap();
    let cell = |row: &str, system: &str| lines.iter().find(|line| line["row"] == row).unwrap()["cells"][system].clone();
    for (row, system) in [
        ("submit", "Baton"),
        ("processes", "Baton"),
        ("processes", "xargs -P2"),
        ("queued", "Baton"),
        ("output", "a file"),
    ] {
        assert!(cell(row, system)["median"].as_f64().unwrap() > 0.0, "{report}");
    }
    for system in ["beanstalkd", "NATS JetStream", "graphile-worker", "BullMQ"] {
        // A machine may have some of them.
        let cell = cell("submit", system);
        assert!(
            cell["why"].as_str().is_some_and(|why| why.starts_with("not run")) || cell["median"].is_f64(),
            "{report}"
        );
        assert!(String::from_utf8_lossy(&output.stdout).contains(system), "{output:?}");
    }
    nothing_is_left(dir.path());
}
