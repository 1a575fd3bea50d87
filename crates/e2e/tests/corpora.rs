//! Every input that fuzzing has kept, as ordinary tests: the functions are those that are fuzzed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/targets.rs"]
mod targets;

use std::{fs, path::Path};

/// Changed copies of each input that are tried as well: the same ones in every run.
const MUTATIONS: u64 = 200;

fn replay(target: &str, function: fn(&[u8])) {
    replay_mutated(target, function, MUTATIONS);
}

/// A copy with a few bytes changed, added or cut off.
fn mutated(input: &[u8], number: u64) -> Vec<u8> {
    let (mut bytes, mut state) = (input.to_vec(), number);
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    for _ in 0..=draw(4) {
        let at = draw(bytes.len());
        match draw(4) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << draw(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(draw(256)).unwrap(),
            2 => bytes.truncate(at),
            _ => bytes.insert(at, u8::try_from(draw(256)).unwrap()),
        }
    }
    bytes
}

fn replay_mutated(target: &str, function: fn(&[u8]), mutations: u64) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let inputs: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty(), "{} is empty", seeds.display());
    for input in inputs {
        // Printed when the test fails: this is the input that did it.
        println!("{}", input.display());
        let bytes = fs::read(&input).unwrap();
        function(&bytes);
        for number in 0..mutations {
            let changed = mutated(&bytes, number);
            // As above: the last line says what failed.
            println!("{number}: {changed:?}");
            function(&changed);
        }
    }
}

#[test]
fn engine() {
    // A seed changed is another seed: the simulator has its own run of many.
    replay_mutated("engine", targets::engine, 0);
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

#[test]
fn spool() {
    replay("spool", targets::spool);
}
