//! `sim [--seeds N] [--from SEED] [--seed SEED --trace] [--plant BUG]`: runs many seeds, or replays one.

use sim::{Plan, Plant, run};
use std::{panic::catch_unwind, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut seeds, mut from, mut trace, mut one, mut plant) = (1_000, 0, false, false, None);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| parse(&text));
        match arg.as_str() {
            "--seeds" => seeds = number().unwrap_or(seeds),
            "--from" => from = number().unwrap_or(from),
            "--seed" => (from, one) = (number().unwrap_or(from), true),
            "--trace" => trace = true,
            "--plant" => plant = args.next().and_then(|name| Plant::parse(&name)),
            _ => {
                eprintln!(
                    "usage: sim [--seeds N] [--from SEED] | [--seed SEED] [--trace] [--plant lying-disk|double-start]"
                );
                return ExitCode::from(2);
            }
        }
    }
    if one {
        seeds = 1;
    }
    let start = Instant::now();
    let mut total = sim::Report::default();
    for seed in from..from + seeds {
        let result = catch_unwind(|| run(Plan { seed, trace, plant }));
        let Ok(report) = result else {
            println!("seed {seed:#x} failed after {} good ones; replay: sim --seed {seed:#x} --trace", seed - from);
            return ExitCode::FAILURE;
        };
        // Every 50th seed is run twice: the same seed must leave the same trace.
        if seed % 50 == 0 && run(Plan { seed, trace: false, plant }).hash != report.hash {
            println!("seed {seed:#x} is not deterministic");
            return ExitCode::FAILURE;
        }
        total.add(&report);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{seeds} seeds, 0 failed, {:.0} seeds a minute: {total}", seeds as f64 / seconds * 60.0);
    ExitCode::SUCCESS
}

fn parse(text: &str) -> Option<u64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}
