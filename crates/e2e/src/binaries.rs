//! Finds the programs under test: those of the profile that the running test was built with.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The path of one of our programs (`gateway`, `scheduler`, `worker`, `baton`, `chaos`), built if need be.
///
/// `BATON_BIN_DIR` names a directory of programs built beforehand; without it `cargo build` is asked once a process, so
/// that no test ever runs against yesterday's program.
///
/// # Panics
/// If they can't be built.
pub fn binary(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(directory).join(name)
}

/// The path of an example of `client` or `worker`, built if need be: `BATON_BIN_DIR` has them in `examples`.
///
/// # Panics
/// If they can't be built.
pub fn example(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let examples = || {
        if let Some(dir) = std::env::var_os("BATON_BIN_DIR") {
            return PathBuf::from(dir).join("examples");
        }
        let profile = profile();
        build(&profile, &["--examples", "-p", "client", "-p", "worker"]);
        profile.join("examples")
    };
    DIR.get_or_init(examples).join(name)
}

fn directory() -> PathBuf {
    if let Some(dir) = std::env::var_os("BATON_BIN_DIR") {
        return PathBuf::from(dir);
    }
    let profile = profile();
    build(&profile, &["--bins", "-p", "gateway", "-p", "scheduler", "-p", "worker", "-p", "baton", "-p", "e2e"]);
    profile
}

/// The directory of the profile that this test was built with.
fn profile() -> PathBuf {
    // Tests live in target/<profile>/deps, programs and examples beside or below target/<profile>.
    let test = std::env::current_exe().unwrap_or_else(|e| panic!("who am I? {e}"));
    test.ancestors().skip(1).find(|d| !d.ends_with("deps")).map_or_else(PathBuf::new, Path::to_path_buf)
}

fn build(profile: &Path, what: &[&str]) {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--offline"]).args(what);
    if let Some(target) = profile.parent() {
        build.arg("--target-dir").arg(target);
    }
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().unwrap_or_else(|e| panic!("cargo build: {e}"));
    assert!(status.success(), "cargo build failed: {status}");
}
