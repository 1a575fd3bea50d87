//! What tests do over and over with the CLI, and with tasks that leave traces in files.

use crate::{Cluster, eventually};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

/// What a command prints, with `--output json`.
///
/// # Panics
/// If it fails or prints something else.
pub fn json(cluster: &Cluster, args: &[&str]) -> serde_json::Value {
    let output = run(cluster, &[&["--output", "json"], args].concat());
    let parsed = serde_json::from_slice(&output.stdout);
    parsed.unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
}

/// How a command ends: its exit code, stdout and stderr.
pub fn said(cluster: &Cluster, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run(cluster, args);
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

/// The one id that a submit with these arguments prints.
///
/// # Panics
/// If it fails.
pub fn accepted(cluster: &Cluster, args: &[&str]) -> String {
    let (code, stdout, stderr) = said(cluster, &[&["submit"], args].concat());
    assert_eq!((code, stdout.lines().count()), (Some(0), 1), "submit {args:?}: {stdout}{stderr}");
    stdout.trim().to_owned()
}

fn run(cluster: &Cluster, args: &[&str]) -> Output {
    cluster.baton(args).output().unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

/// The lines that tasks have written to a file so far.
pub fn witness(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Waits until tasks have written so many lines to a file, as long as more are coming.
///
/// # Panics
/// If no more are coming.
pub fn ran(file: &Path, lines: usize) -> Vec<String> {
    let mut seen = 0;
    loop {
        let found = eventually("another line of a task", || Some(witness(file)).filter(|found| found.len() > seen));
        if found.len() >= lines {
            return found;
        }
        seen = found.len();
    }
}

/// Holds tasks until it is opened.
pub struct Gate(PathBuf);

impl Gate {
    /// A closed one.
    pub fn new(dir: &Path, name: &str) -> Self {
        Self(dir.join(name))
    }

    /// The shell line of a task that says where it runs and waits.
    pub fn line(&self) -> String {
        format!("echo $BATON_WORKER_ID >> {0}.begun; until [ -e {0} ]; do sleep 0.02; done", self.0.display())
    }

    /// Waits until so many attempts have begun, and gives their workers.
    pub fn begun(&self, attempts: usize) -> Vec<String> {
        ran(&self.0.with_extension("begun"), attempts)
    }

    /// Lets all go.
    ///
    /// # Panics
    /// If it can't be opened.
    pub fn open(&self) {
        fs::write(&self.0, "").unwrap_or_else(|error| panic!("{}: {error}", self.0.display()));
    }
}
