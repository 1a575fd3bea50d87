//! Which of our crates may depend on which, and what may never be beneath the pure ones.

use crate::repo;
use std::process::Command;

/// The allowed arrows: everything a crate may name under `[dependencies]` among our own crates.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("engine", &["domain"]),
    ("driver", &["domain", "engine"]),
    ("session", &["domain"]),
    ("wire", &["domain"]),
    ("store", &["domain"]),
    ("output", &["domain"]),
    ("exec", &["domain"]),
    ("tls", &[]),
    ("service", &["domain", "tls"]),
    ("client", &["domain", "wire", "tls"]),
    ("scheduler", &["domain", "driver", "engine", "store", "output", "wire", "service"]),
    ("gateway", &["domain", "wire", "tls", "service"]),
    ("worker", &["domain", "wire", "tls", "session", "exec", "service"]),
    ("baton", &["domain", "wire", "client", "service", "gateway", "scheduler", "worker"]),
];

/// Crates for development: they may know everything, and nothing may know them.
const DEVELOPMENT: &[&str] = &["sim", "e2e"];

/// The crates whose behaviour must follow from their inputs alone.
pub const PURE: &[&str] = &["domain", "engine", "driver", "session"];

/// What must not be in the dependency tree of a pure crate, however deep.
const IMPURE: &[&str] = &[
    "tokio",
    "tonic",
    "rusqlite",
    "axum",
    "hyper",
    "rand",
    "getrandom",
    "rustix",
    "libc",
    "mio",
    "socket2",
    "tracing",
];

/// Arrows of `name`'s manifest that are not allowed.
fn wrong_arrows(name: &str, manifest: &toml::Table, ours: &[String]) -> Vec<String> {
    if DEVELOPMENT.contains(&name) {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name}: an unknown crate; give it a line in the table of arrows")];
    };
    let mut wrong = Vec::new();
    for table in ["dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest.get(table).and_then(|t| t.as_table()) else { continue };
        for (dependency, value) in dependencies {
            // A renamed dependency hides its crate's name in `package`.
            let package = value.get("package").and_then(|p| p.as_str()).unwrap_or(dependency);
            if ours.iter().any(|o| o == package) && !allowed.contains(&package) {
                wrong.push(format!("{name} -> {package}"));
            }
        }
    }
    wrong
}

#[test]
fn arrows_point_only_where_they_may() {
    let ours = repo::crates();
    let wrong: Vec<String> = ours.iter().flat_map(|name| wrong_arrows(name, &repo::manifest(name), &ours)).collect();
    assert!(wrong.is_empty(), "arrows that are not allowed: {wrong:#?}");
}

#[test]
fn an_arrow_the_wrong_way_is_found() {
    let ours = repo::crates();
    let check = |name: &str, text: &str| wrong_arrows(name, &text.parse().unwrap(), &ours);
    assert_eq!(check("gateway", "[dependencies]\ndomain.workspace = true\n"), Vec::<String>::new());
    assert_eq!(check("gateway", "[dependencies]\nstore.workspace = true\n"), ["gateway -> store"]);
    assert_eq!(check("store", "[dependencies]\nengine = { path = \"../engine\" }\n"), ["store -> engine"]);
    assert_eq!(check("exec", "[dependencies]\nw = { package = \"wire\", path = \"../wire\" }\n"), ["exec -> wire"]);
    assert_eq!(check("engine", "[dependencies]\nsim.workspace = true\n"), ["engine -> sim"]);
    assert_eq!(check("engine", "[dev-dependencies]\nstore.workspace = true\n"), Vec::<String>::new());
    assert_eq!(check("another", "[dependencies]\n").len(), 1);
}

/// Names in the output of `cargo tree --prefix none` that are banned beneath pure crates.
fn impure(tree: &str) -> Vec<String> {
    tree.lines().filter_map(|l| l.split(' ').next()).filter(|n| IMPURE.contains(n)).map(str::to_owned).collect()
}

#[test]
fn no_runtime_and_no_store_beneath_the_pure_crates() {
    for name in PURE {
        let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
            .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", name])
            .current_dir(repo::root())
            .output()
            .unwrap();
        assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(impure(&String::from_utf8_lossy(&output.stdout)), Vec::<String>::new(), "beneath {name}");
    }
    assert_eq!(impure("engine v0.1.0 (crates/engine)\ntokio v1.54.0\n"), ["tokio"]);
}
