//! Python as users have it: the package's sources, and grpcio and protobuf from their registry.

use e2e::{Cluster, Process};
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
    let program = std::env::var("BATON_TEST_PYTHON").ok().filter(|p| !p.is_empty()).unwrap_or_else(|| "python3".into());
    if Command::new(&program).arg("--version").output().is_err() {
        return e2e::skip("no Python");
    }
    let mut command = Command::new(program);
    command.args(["-B", "-m", "unittest", "discover", "-s", "tests"]).current_dir(repository("clients/python"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
