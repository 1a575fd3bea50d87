//! Python as users have it: the package's sources, and grpcio and protobuf from their registry.

use e2e::{Cluster, Process, example};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A place in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A Python that has what a worker needs; `None` if there is none.
pub fn python() -> Option<Python> {
    let program = std::env::var("BATON_TEST_PYTHON").ok().filter(|p| !p.is_empty()).unwrap_or_else(|| "python3".into());
    let probe = Command::new(&program).args(["-c", "import grpc, google.protobuf"]).output();
    probe.is_ok_and(|o| o.status.success()).then_some(Python { program })
}

/// An interpreter that finds the package.
pub struct Python {
    program: String,
}

impl Python {
    /// Runs a script.
    pub fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.program);
        // Byte code beside the sources would be in nobody's way but git's.
        command.arg("-B").arg(script).env("PYTHONPATH", repository("clients/python"));
        command
    }

    /// Starts `handlers.py` as worker `name`, with the same data as before.
    pub fn worker(&self, cluster: &Cluster, name: &str) -> Process {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/handlers.py");
        let mut command = self.command(&script);
        command.args([&format!("http://{}", cluster.scheduler_address), name]).arg(cluster.dir().join(name));
        command.env("WITNESS", witness_file(cluster)).env("GATE", gate_file(cluster)).current_dir(cluster.dir());
        Process::start(name, cluster.dir(), &mut command)
    }
}

/// The sample worker in Rust, as worker `reversing`.
pub fn reversing(cluster: &Cluster) -> Process {
    let mut command = Command::new(example("worker"));
    command.args(["--listen", "127.0.0.1:0", "--id", "reversing"]).current_dir(cluster.dir());
    command.args(["--scheduler", &format!("http://{}", cluster.scheduler_address)]);
    let mut worker = Process::start("reversing", cluster.dir(), &mut command);
    worker.listening();
    worker
}

/// Where handlers leave their traces: task, attempt, worker.
pub fn witness_file(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("witness")
}

/// What handlers that are held wait for.
pub fn gate_file(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("gate")
}

#[test]
fn the_python_packages_own_tests_pass() {
    let Some(python) = python() else { return e2e::skip("no Python with grpcio and protobuf") };
    let mut cluster = Cluster::start(1);
    cluster.workers.push(Some(reversing(&cluster)));
    e2e::connected(&cluster, 2);
    let mut command = Command::new(&python.program);
    command.args(["-B", "-m", "unittest", "discover", "-s", "tests"]).current_dir(repository("clients/python"));
    let output = command.env("BATON_HTTP", format!("http://{}", cluster.http_address)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("skipped"), "{said}");
}

/// What is installed is the whole package, and the client needs nothing else.
#[test]
fn the_python_package_can_be_installed() {
    let Some(python) = python() else { return e2e::skip("no Python with grpcio and protobuf") };
    let probe = Command::new(&python.program).args(["-c", "import setuptools, pip"]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        return e2e::skip("no setuptools");
    }
    let dir = tempfile::tempdir().unwrap();
    // Building leaves traces beside the sources.
    let copied = Command::new("cp").arg("-r").arg(repository("clients/python")).arg(dir.path().join("source")).status();
    assert!(copied.unwrap().success());
    let run = |args: &[&str]| {
        let mut command = Command::new(&python.program);
        let output = command.args(args).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&[
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        "to",
        "./source",
    ]);
    run(&["-c", "import sys; sys.path.insert(0, 'to'); import baton.worker; assert 'to' in baton.__file__"]);
    run(&["-S", "-c", "import sys; sys.path.insert(0, 'to'); import baton; baton.Client()"]);
}
