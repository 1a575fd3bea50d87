//! Every input that fuzzing has kept, as ordinary tests: the functions are those that are fuzzed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/targets.rs"]
mod targets;

use std::{fs, path::Path};

fn replay(target: &str, function: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let inputs: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty(), "{} is empty", seeds.display());
    for input in inputs {
        // Printed when the test fails: this is the input that did it.
        println!("{}", input.display());
        function(&fs::read(&input).unwrap());
    }
}

#[test]
fn engine() {
    replay("engine", targets::engine);
}

#[test]
fn segment() {
    replay("segment", targets::segment);
}

#[test]
fn keeper() {
    replay("keeper", targets::keeper);
}

#[test]
fn worker_message() {
    replay("worker_message", targets::worker_message);
}

#[test]
fn spec() {
    replay("spec", targets::spec);
}
