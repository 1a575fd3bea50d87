//! The TypeScript client as users have it: compiled by `tsc` alone, run by Node.

use crate::python::{repository, reversing};
use e2e::{Cluster, Engine, IMAGE, connected, skip};
use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// What is missing if [`node`] is `None`.
pub const NO_NODE: &str = "no Node of version 20, or no TypeScript compiler";

/// The client, its samples and its tests, compiled.
pub struct Node {
    program: PathBuf,
    dir: TempDir,
}

/// `None` without Node ≥ 20 and the compiler, which `make setup` installs.
///
/// # Panics
/// If the sources can't be compiled.
pub fn node() -> Option<Node> {
    let tools = std::env::var_os("BATON_TEST_TOOLS").map(PathBuf::from);
    let wheels = tools.as_ref().map(|tools| tools.join("python/bin/node"));
    let program = [Some("node".into()), wheels].into_iter().flatten().find(|node| major(node) >= Some(20))?;
    let source = repository("clients/typescript");
    let modules = [tools.map(|tools| tools.join("typescript/node_modules")), Some(source.join("node_modules"))];
    let modules = modules.into_iter().flatten().find(|modules| modules.join("typescript").exists())?;
    let dir = TempDir::with_prefix("baton-typescript-").unwrap();
    for part in ["package.json", "tsconfig.json", "tsconfig.test.json", "src", "samples", "tests"] {
        let copied = Command::new("cp").arg("-r").arg(source.join(part)).arg(dir.path()).status();
        assert!(copied.unwrap().success(), "{part}");
    }
    symlink(modules.canonicalize().unwrap(), dir.path().join("node_modules")).unwrap();
    let node = Node { program, dir };
    node.compile(&["-p", "tsconfig.test.json"]);
    Some(node)
}

fn major(node: &Path) -> Option<u32> {
    let output = Command::new(node).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).strip_prefix('v')?.split('.').next()?.parse().ok()
}

impl Node {
    /// Runs a script; a relative path is one of the compiled package's.
    pub fn command(&self, script: impl AsRef<Path>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(script.as_ref()).current_dir(self.dir.path());
        command
    }

    /// Where the compiled parts are: `src`, `samples` and `tests`.
    pub fn built(&self) -> PathBuf {
        self.dir.path().join("build")
    }

    fn compile(&self, args: &[&str]) {
        let compiled = self.command("node_modules/typescript/bin/tsc").args(args).output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
    }
}

#[test]
fn the_typescript_packages_own_tests_pass() {
    let Some(node) = node() else { return skip(NO_NODE) };
    // As it is published: nothing in it may need what only Node has.
    node.compile(&[]);
    assert!(node.dir.path().join("dist/index.d.ts").exists());
    let engine = Engine::start();
    let mut cluster = Cluster::empty();
    if let Some(engine) = &engine {
        engine.docker(&["create", "--name", "box", IMAGE, "sh", "-c", "echo from the box; exit 5"]);
        cluster.worker_args = vec!["--docker-host".into(), engine.host()];
    }
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    cluster.workers.push(Some(reversing(&cluster)));
    connected(&cluster, 2);
    let mut command = node.command("--test");
    command.envs(engine.iter().map(|_| ("BATON_DOCKER_IMAGE", IMAGE)));
    command.args(["--test-reporter", "tap"]);
    // Named one by one: what a directory means differs between versions of Node.
    let tests = std::fs::read_dir(node.built().join("tests")).unwrap().map(|entry| entry.unwrap().path());
    command.args(tests);
    let output = command.env("BATON_HTTP", format!("http://{}", cluster.http_address)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("# pass "), "{said}");
    let skipped = format!("# skipped {}", if engine.is_some() { 0 } else { 1 });
    assert!(said.contains(&skipped), "{said}");
}
