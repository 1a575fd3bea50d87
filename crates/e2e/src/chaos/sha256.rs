//! SHA-256 by the system's own program: what checks our bytes shares no code with us.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Takes bytes as they come.
pub(super) struct Sha256 {
    child: Child,
    stdin: ChildStdin,
}

impl Sha256 {
    /// # Panics
    /// If there is no sha256sum.
    pub fn new() -> Self {
        let started = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("sha256sum: {error}"));
        let stdin = child.stdin.take().unwrap_or_else(|| panic!("sha256sum has no stdin"));
        Self { child, stdin }
    }

    /// # Panics
    /// If sha256sum has died.
    pub fn update(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap_or_else(|error| panic!("sha256sum: {error}"));
    }

    /// # Panics
    /// If sha256sum has died.
    pub fn finish(self) -> String {
        drop(self.stdin);
        let output = self.child.wait_with_output().unwrap_or_else(|error| panic!("sha256sum: {error}"));
        first_word(&output.stdout)
    }
}

/// Of some bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    let mut sha = Sha256::new();
    sha.update(bytes);
    sha.finish()
}

/// Of a file.
pub(super) fn of_file(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap_or_else(|error| panic!("sha256sum: {error}"));
    first_word(&output.stdout)
}

fn first_word(output: &[u8]) -> String {
    String::from_utf8_lossy(output).split_whitespace().next().unwrap_or_default().to_owned()
}
