//! `sim`: runs many seeds, or replays one. See docs/simulator.md.

use sim::{Plan, Plant, campaign, shrink};
use std::{collections::BTreeSet, process::ExitCode, time::Duration};

const USAGE: &str = "\
usage: sim [--seeds N] [--from SEED] [--threads N]    many seeds, those of seeds.txt first
           [--minutes N]                              and no new ones after so long
       sim --seed SEED [--only 3,17] [--trace]        one seed, or only these of its cues
       sim --seed SEED --shrink                       and the fewest cues that still fail
       sim --plant BUG [--seeds N]                    with a planted bug: fails if it is not found
       sim --plants [--seeds N]                       with each of them in turn";

/// What the command line asks for.
#[derive(Default)]
struct Args {
    seeds: Option<u64>,
    from: u64,
    threads: Option<u64>,
    minutes: Option<u64>,
    seed: Option<u64>,
    only: Option<BTreeSet<usize>>,
    trace: bool,
    shrink: bool,
    plant: Option<Plant>,
    plants: bool,
}

/// How many seeds a planted bug may take to be found.
const PLANTED: u64 = 1_000;
/// Seeds of a run, if nothing is said.
const SEEDS: u64 = 10_000;

fn main() -> ExitCode {
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u64));
    let fine = match (args.seed, args.plant, args.plants) {
        (Some(seed), plant, _) => {
            let plan = Plan { seed, trace: args.trace, exact: true, plant, only: args.only };
            one(&plan, args.shrink)
        }
        (None, Some(plant), _) => campaign::plant(plant, args.from, args.seeds.unwrap_or(PLANTED), threads),
        (None, None, true) => {
            let seeds = args.seeds.unwrap_or(PLANTED);
            Plant::ALL.iter().filter(|plant| !campaign::plant(**plant, args.from, seeds, threads)).count() == 0
        }
        (None, None, false) => {
            let length = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
            campaign::seeds(args.from, args.seeds.unwrap_or(SEEDS), threads, length)
        }
    };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(plan: &Plan, shorter: bool) -> bool {
    match shrink::failure(plan) {
        Err(why) => {
            println!("seed {:#x} fails: {why}", plan.seed);
            if shorter {
                campaign::tell(plan, &why);
            }
            false
        }
        Ok(report) => {
            println!("seed {:#x} is fine, hash {:016x}: {report}", plan.seed, report.hash);
            true
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Args> {
    let mut parsed = Args::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => parsed.seeds = Some(number(&args.next()?)?),
            "--from" => parsed.from = number(&args.next()?)?,
            "--threads" => parsed.threads = Some(number(&args.next()?)?.max(1)),
            "--minutes" => parsed.minutes = Some(number(&args.next()?)?),
            "--seed" => parsed.seed = Some(number(&args.next()?)?),
            "--only" => parsed.only = Some(args.next()?.split(',').filter_map(|n| n.parse().ok()).collect()),
            "--trace" => parsed.trace = true,
            "--shrink" => parsed.shrink = true,
            "--plant" => parsed.plant = Some(Plant::parse(&args.next()?)?),
            "--plants" => parsed.plants = true,
            _ => return None,
        }
    }
    Some(parsed)
}

fn number(text: &str) -> Option<u64> {
    campaign::number(text)
}
