//! Campaigns: many seeds on all cores, and what is told of them.

use crate::{Plan, Plant, Report, cues, rare::Rare, shrink};
use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Seeds that once failed: run first, always.
const OLD_SEEDS: &str = include_str!("../seeds.txt");
/// Every so many seeds one is run twice: the same seed must leave the same trace. 2 %.
const TWICE: u64 = 50;
/// So many seeds reach every rare state, by a wide margin: fewer need not.
const ENOUGH: u64 = 8_000;
/// Failures that are told of; there may be more.
const TOLD: usize = 5;

/// What a campaign has seen so far.
#[derive(Default)]
struct Sum {
    report: Report,
    done: u64,
    failed: Vec<(u64, String)>,
}

/// A number as people write seeds: decimal, or hexadecimal with `0x`.
pub fn number(text: &str) -> Option<u64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}

/// The seeds of seeds.txt: the first word of each line that isn't a comment.
pub fn old_seeds() -> Vec<u64> {
    let words = OLD_SEEDS.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#')).filter_map(number).collect()
}

/// Runs so many seeds, and those that once failed; none is begun when the time is over. Tells what it saw; true if all is
/// well.
pub fn seeds(from: u64, count: u64, threads: u64, length: Option<Duration>) -> bool {
    let start = Instant::now();
    let old = old_seeds();
    let total = old.len() as u64 + count;
    let nth = |n: u64| match n.checked_sub(old.len() as u64) {
        Some(n) => from + n,
        None => usize::try_from(n).ok().and_then(|n| old.get(n)).copied().unwrap_or(from),
    };
    let until = length.map(|length| start + length);
    let sum = run_all(total, threads, TOLD, until, &|n| Plan { seed: nth(n), ..Plan::default() });
    let seconds = start.elapsed().as_secs_f64();
    let rate = sum.done as f64 / seconds * 60.0;
    let Sum { report, done, failed } = sum;
    println!("{done} seeds, {} failed, in {seconds:.0} s, {rate:.0} seeds a minute: {report}", failed.len());
    for (seed, why) in &failed {
        println!();
        println!("seed {seed:#x} fails: {why}");
        tell(&Plan { seed: *seed, ..Plan::default() }, why);
    }
    failed.is_empty() && (done < ENOUGH || all_reached(&report))
}

fn all_reached(report: &Report) -> bool {
    let missing: Vec<&str> = report.seen.iter().filter(|(_, n)| *n == 0).map(|(rare, _)| rare.text()).collect();
    for (rare, n) in report.seen.iter() {
        println!("{n:>8} × {}", rare.text());
    }
    if missing.is_empty() {
        println!("all {} rare states were reached", Rare::ALL.len());
    }
    missing.iter().for_each(|text| println!("never reached: {text}"));
    missing.is_empty()
}

/// Runs seeds with a planted bug until it is found; true if it is.
pub fn plant(plant: Plant, from: u64, count: u64, threads: u64) -> bool {
    let start = Instant::now();
    let mut sum = run_all(count, threads, 1, None, &|n| Plan { seed: from + n, plant: Some(plant), ..Plan::default() });
    // Found is what fails because of the plant.
    sum.failed.retain(|(seed, _)| shrink::failure(&Plan { seed: *seed, ..Plan::default() }).is_ok());
    let seconds = start.elapsed().as_secs_f64();
    match sum.failed.first() {
        Some((seed, why)) => {
            let line = why.lines().next().unwrap_or_default();
            println!("{:<20} found after {:>4} seeds, {seconds:.1} s, seed {seed:#x}: {line}", plant.name(), sum.done);
        }
        None => println!("{:<20} NOT FOUND in {} seeds", plant.name(), sum.done),
    }
    !sum.failed.is_empty()
}

/// Runs them on all threads, until so many have failed or the time is over.
fn run_all(
    count: u64,
    threads: u64,
    enough: usize,
    until: Option<Instant>,
    plan: &(dyn Fn(u64) -> Plan + Sync),
) -> Sum {
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let late = until.is_some_and(|until| Instant::now() >= until);
                    if n >= count || late || sum.lock().unwrap_or_else(PoisonError::into_inner).failed.len() >= enough {
                        return;
                    }
                    let plan = plan(n);
                    let result = twice_if_due(&plan, n);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.done += 1;
                    match result {
                        Ok(report) => sum.report.add(&report),
                        Err(why) => sum.failed.push((plan.seed, why)),
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn twice_if_due(plan: &Plan, n: u64) -> Result<Report, String> {
    if !n.is_multiple_of(TWICE) {
        return shrink::failure(plan);
    }
    let exact = Plan { exact: true, ..plan.clone() };
    let (first, second) = (shrink::failure(&exact)?, shrink::failure(&exact)?);
    if first.hash == second.hash { Ok(first) } else { Err("two runs of this seed left different traces".into()) }
}

/// What somebody needs who looks into a failure.
pub fn tell(plan: &Plan, why: &str) {
    let all = cues(plan.seed);
    let kept: BTreeSet<usize> = shrink::shrink(plan, why, all.len());
    println!("commit {}; of {} cues these are enough:", commit(), all.len());
    for n in &kept {
        println!("  #{n:<3} {}", all[*n]);
    }
    let only: Vec<String> = kept.iter().map(usize::to_string).collect();
    let plant = plan.plant.map(|plant| format!(" --plant {}", plant.name())).unwrap_or_default();
    println!("replay: sim --seed {:#x}{plant} --only {} --trace", plan.seed, only.join(","));
    println!("   all: sim --seed {:#x}{plant} --trace", plan.seed);
}

/// The commit that fails, as far as this can be told.
fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = output.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
