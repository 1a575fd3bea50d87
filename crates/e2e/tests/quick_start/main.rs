//! The first orchestrator's quick start, command by command, with clients that aren't ours, and a worker that knows
//! only heartbeat, progress and result. Needs Python with grpcio, grpcio-reflection and grpc_requests
//! (`BATON_TEST_PYTHON` names the interpreter).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Process, binary, own_network, skip};
use std::{path::PathBuf, process::Command};

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/quick_start").join(name)
}

/// A Python that has what the scripts import.
fn python() -> Option<String> {
    let python = std::env::var("BATON_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python).args(["-c", "import grpc, grpc_reflection, grpc_requests"]).output();
    probe.is_ok_and(|o| o.status.success()).then_some(python)
}

#[test]
fn the_quick_start_works_with_a_client_that_is_not_ours() {
    let Some(python) = python() else { return skip("no Python with grpcio, grpcio-reflection and grpc_requests") };
    let mut cluster = Cluster::start(0);
    let mut worker = Process::start("w0", cluster.dir(), &mut cluster.worker_command(0));
    let address = worker.listening();
    cluster.workers.push(Some(worker));
    let output = Command::new(python)
        .arg(script("client.py"))
        .args([cluster.gateway_address, cluster.scheduler_address, address].map(|a| a.to_string()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.ends_with("all as promised\n"), "{text}");
}

#[test]
fn a_worker_that_knows_only_heartbeat_progress_and_result_works() {
    let Some(python) = python() else { return skip("no Python with grpcio, grpcio-reflection and grpc_requests") };
    let cluster = Cluster::start(0);
    let scheduler = cluster.scheduler_address.to_string();
    let mut command = Command::new(&python);
    command.arg(script("worker.py")).arg(&scheduler);
    let mut worker = Process::start("python-worker", cluster.dir(), &mut command);
    assert_eq!(worker.line(), "registered");
    let output = Command::new(&python)
        .arg(script("submit.py"))
        .args([cluster.gateway_address.to_string(), "reverse".into(), "stressed".into()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}\n{}", String::from_utf8_lossy(&output.stderr), worker.log());
    assert_eq!(text.lines().last(), Some("TASK_STATUS_COMPLETED desserts"), "{text}");
}

/// Without arguments they take the ports of the contract; a network of its own keeps those free of others.
#[test]
fn the_services_start_without_arguments() {
    let Some(mut command) = own_network() else { return skip("no network namespaces to be had") };
    let cluster = Cluster::empty();
    let line = format!(
        "ip link set lo up; {} & s=$!; {} & w=$!; {} & g=$!; until {baton} workers 2>/dev/null | grep -q connected; \
         do sleep 0.02; done; {baton} run -- echo hello from a task; \
         kill -INT $g $w $s; wait $g && wait $w && wait $s && echo all stopped",
        binary("scheduler").display(),
        binary("worker").display(),
        binary("gateway").display(),
        baton = binary("baton").display(),
    );
    command.args(["sh", "-c", &line]).current_dir(cluster.dir());
    let mut all = Process::start("all", cluster.dir(), &mut command);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|l| l != "all stopped") {
        lines.push(all.line());
    }
    for wanted in [
        "Scheduler service listening on 127.0.0.1:50052",
        "Worker service listening on 127.0.0.1:50053",
        "Gateway service listening on 127.0.0.1:50051",
        "hello from a task",
        "Gateway service stopped",
        "Worker service stopped",
        "Scheduler service stopped",
    ] {
        assert!(lines.iter().any(|l| l == wanted), "{wanted}: {lines:?}");
    }
}
