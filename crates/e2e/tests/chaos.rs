//! The rows of `make chaos`, a few times each: one test a row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::chaos;

/// The same moments in every run of the tests; `make chaos` draws others each time.
const SEED: u64 = 4;

fn keeps_its_promise(name: &str) {
    let row = chaos::row(name).unwrap();
    let report = chaos::run(row, row.fast, SEED, false);
    println!("{}", report.json());
    assert!(report.kept(), "{}: {:#}", row.promise, report.json());
}

macro_rules! rows {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            keeps_its_promise($name);
        })*

        #[test]
        fn every_row_has_a_test() {
            let names: Vec<&str> = chaos::ROWS.iter().map(|row| row.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

rows! {
    kill_scheduler "kill-scheduler"
    kill_gateway "kill-gateway"
    all_killed "all-killed"
    gigabyte "gigabyte"
    stop_scheduler "stop-scheduler"
    partition "partition"
    bad_network "bad-network"
    clock "clock"
    odd_output "odd-output"
    malformed "malformed"
    impostors "impostors"
    idle "idle"
    soak "soak"
}
