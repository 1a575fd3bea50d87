//! The README's commands, executed verbatim: every line of every `sh` block, in one shell, in order.
//!
//! `# -> text` at the end of a line says what its output contains (`-` for an id). `make test` is the one command left
//! out: it is what runs this. In a network of its own, because `baton dev` takes the default ports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{binary, own_network, skip, sweep};
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};
use tempfile::TempDir;

const README: &str = include_str!("../../../README.md");

/// The lines of the `sh` blocks: command and what its output contains.
fn commands() -> Vec<(String, Option<String>)> {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .flat_map(str::lines)
        .filter(|line| !line.trim().is_empty())
        .map(|line| match line.split_once("# -> ") {
            Some((command, wanted)) => (command.trim().to_owned(), Some(wanted.trim().to_owned())),
            None => (line.trim().to_owned(), None),
        })
        .collect()
}

/// One script of all commands: each leaves its output in a file of its number.
fn script(commands: &[(String, Option<String>)]) -> String {
    let mut script = String::from("set -e\n");
    script.push_str("ip link set lo up\n");
    for (number, (command, _)) in commands.iter().enumerate() {
        if command.starts_with("make test") {
            continue;
        }
        let redirected = if command.starts_with("baton dev") {
            format!(
                "{command} > out.{number} 2>&1 & dev=$!\nuntil baton workers 2>/dev/null | grep -q connected; do sleep 0.05; done"
            )
        } else {
            format!("{{ {command}\n}} > out.{number} 2>&1")
        };
        let _ = writeln!(script, "echo '{number}' > at\n{redirected}");
    }
    script.push_str("kill -INT $dev\nwait $dev\necho done > at\n");
    script
}

/// `make` as the README's reader has it, but with the programs that are built already.
fn place(dir: &Path) {
    let programs = binary("baton").parent().unwrap().to_owned();
    fs::create_dir_all(dir.join("target")).unwrap();
    symlink(&programs, dir.join("target/release")).unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = programs.parent().unwrap();
    let profile = if programs.ends_with("release") { "release" } else { "dev" };
    let shim = format!(
        "#!/bin/sh\nexec env PATH=\"${{PATH#*:}}\" CARGO_NET_OFFLINE=true CARGO_TARGET_DIR={} make -C {} PROFILE={profile} \"$@\"\n",
        target.display(),
        repository.display(),
    );
    fs::create_dir_all(dir.join("shims")).unwrap();
    fs::write(dir.join("shims/make"), shim).unwrap();
    fs::set_permissions(dir.join("shims/make"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    let Some(mut shell) = own_network() else { return skip("no network namespaces to be had") };
    if Command::new("make").arg("--version").output().is_err() {
        return skip("no make");
    }
    let commands = commands();
    assert!(commands.len() >= 10, "{commands:?}");
    let dir = TempDir::with_prefix("baton-readme-").unwrap();
    place(dir.path());
    let path = format!("{}:{}", dir.path().join("shims").display(), std::env::var("PATH").unwrap_or_default());
    let status = shell
        .args(["sh", "-c", &script(&commands)])
        .current_dir(dir.path())
        .env("PATH", path)
        .env_remove("BATON_BIN_DIR")
        .status()
        .unwrap();
    let at = fs::read_to_string(dir.path().join("at")).unwrap_or_default();
    let output = |n: usize| fs::read_to_string(dir.path().join(format!("out.{n}"))).unwrap_or_default();
    let failed = at.trim().parse().ok().map(|n: usize| (commands[n].0.clone(), output(n)));
    sweep(dir.path());
    assert!(status.success(), "{status} at {failed:?}");
    for (number, (command, wanted)) in commands.iter().enumerate() {
        if let Some(wanted) = wanted {
            assert!(output(number).contains(wanted), "{command}\n{}", output(number));
        }
    }
}

/// All Rust sources below a directory, as one text.
fn sources(dir: &Path) -> String {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.extension() {
        Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
        None if path.is_dir() => sources(&path),
        Some(_) | None => String::new(),
    };
    paths.map(text).collect()
}

#[test]
fn what_the_readme_promises_is_a_test() {
    let tests = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    for name in README.split("`e2e: ").skip(1).filter_map(|rest| rest.split('`').next()) {
        assert!(tests.contains(&format!("fn {name}()")), "the README names a test that isn't there: {name}");
    }
}
