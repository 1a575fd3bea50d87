//! Real faults against the real programs: a row is one fault, what it must not break, and how often it is tried.
//!
//! `make chaos` runs all rows in full and prints a line of JSON for each (`target/release/chaos ROW` runs one);
//! `tests/chaos.rs` runs the same rows a few times each, as part of `make test`.
//!
//! # Adding a row
//!
//! 1. A file `chaos/<fault>.rs` with `pub(super) fn run(times: u32, report: &mut Report)`. It starts a
//!    [`Cluster`](crate::Cluster), hurts it `times` times, counts what it sees into the [`Report`] (`tried`, `lost`,
//!    `duplicated`, `wrong`, `refused`, `recovered`), gives every further number with `figure`, and states what must
//!    hold with `must`. A panic counts as a broken promise, so asserting is fine. Draw moments with `report.draw`, so that
//!    `--seed` repeats them.
//! 2. A line in [`ROWS`]: name, promise, how often in a test and how often in full. A test's share should take seconds.
//! 3. A line in `tests/chaos.rs`. A test there fails as long as one of the two is missing.
//!
//! A row must never sleep where it can wait for an event, and never leave a process, a network or a mount behind.

mod all_killed;
mod bad_network;
mod clock;
mod curves;
mod gigabyte;
mod idle;
mod impostors;
mod kill_gateway;
mod kill_scheduler;
mod load;
mod malformed;
pub mod network;
mod odd_output;
mod partition;
mod proxy;
pub mod reader;
mod report;
mod sha256;
mod soak;
mod stop_scheduler;

pub use report::Report;

use std::{panic::AssertUnwindSafe, time::Instant};

/// One fault and what it must not break.
pub struct Row {
    /// As given on the command line.
    pub name: &'static str,
    /// What must hold, for people.
    pub promise: &'static str,
    /// How often in a test.
    pub fast: u32,
    /// How often in `make chaos`; 0: only when it is named (`make soak`).
    pub full: u32,
    /// Does it so often and counts.
    pub run: fn(u32, &mut Report),
}

/// All rows, in the order in which they are run.
pub const ROWS: &[Row] = &[
    Row {
        name: "kill-scheduler",
        promise: "kill -9 of the scheduler under load: nothing lost, no attempt restarted, output whole, back within 2 s",
        fast: 3,
        full: 50,
        run: kill_scheduler::run,
    },
    Row {
        name: "kill-gateway",
        promise: "kill -9 of the gateway mid-stream: readers go on where they were, submits are not doubled",
        fast: 3,
        full: 20,
        run: kill_gateway::run,
    },
    Row {
        name: "all-killed",
        promise: "everything killed at a random moment: every acknowledged task is there and ends once",
        fast: 3,
        full: 20,
        run: all_killed::run,
    },
    Row {
        name: "gigabyte",
        promise: "1 GiB of output while gateway, scheduler, worker and reader are killed: every byte, once, in order",
        fast: 1,
        full: 4,
        run: gigabyte::run,
    },
    Row {
        name: "stop-scheduler",
        promise: "SIGSTOP of the scheduler past its leases: nothing lost, no attempt restarted, no second one lets itself in",
        fast: 1,
        full: 5,
        run: stop_scheduler::run,
    },
    Row {
        name: "partition",
        promise: "a worker cut off, both ways, one way, by resets, shorter and longer than its lease: each attempt once",
        fast: 3,
        full: 20,
        run: partition::run,
    },
    Row {
        name: "bad-network",
        promise: "delays, storms of resets, messages cut in two or said twice: nothing lost, nothing done twice",
        fast: 4,
        full: 40,
        run: bad_network::run,
    },
    Row {
        name: "clock",
        promise: "wall clocks jump by a day, forth and back: leases, timeouts, back-off and retention don't notice",
        fast: 2,
        full: 12,
        run: clock::run,
    },
    Row {
        name: "odd-output",
        promise: "NUL bytes, invalid UTF-8, control codes, a line of N times 10 MB, nothing at all: bytes stay bytes",
        fast: 1,
        full: 10,
        run: odd_output::run,
    },
    Row {
        name: "malformed",
        promise: "too large, cut off, another protocol, nonsense: refused, nobody else notices, memory stays",
        fast: 1,
        full: 20,
        run: malformed::run,
    },
    Row {
        name: "impostors",
        promise: "two workers with one id, results of old, others' and unknown attempts: refused, counted, without effect",
        fast: 2,
        full: 50,
        run: impostors::run,
    },
    Row {
        name: "idle",
        promise: "1,000 idle connections and 5 readers that never read, times N: others unaffected, memory bounded",
        fast: 1,
        full: 10,
        run: idle::run,
    },
    Row {
        name: "soak",
        promise: "N times 10 s of load with faults: nothing lost, memory, descriptors, log and segments flat",
        fast: 1,
        full: 0,
        run: soak::run,
    },
];

/// Runs a row so often; a panic is a broken promise as well. `judged`: times are promises too.
pub fn run(row: &Row, times: u32, seed: u64, judged: bool) -> Report {
    let mut report = Report::new(row.name, times, seed, judged);
    let began = Instant::now();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| (row.run)(times, &mut report)));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        report.broken(text.unwrap_or_else(|| "panicked".into()));
    }
    report.ended(began.elapsed());
    report
}

/// The row of this name.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}
