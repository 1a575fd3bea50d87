//! `chaos [ROW…] [--times N] [--seed N] [--list]`: real faults against the real programs, one line of JSON a row. Exit code 1 if a
//! promise was broken.

use e2e::chaos::{self, Row, reader};
use std::{process::ExitCode, time::SystemTime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: chaos [ROW…] [--times N] [--seed N] [--list]";

/// What was asked for.
struct Asked {
    rows: Vec<&'static Row>,
    times: Option<u32>,
    seed: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = args.as_slice()
        && first == reader::ARGUMENT
    {
        return reader::main(rest);
    }
    let asked = match asked(args.into_iter()) {
        Ok(asked) => asked,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let mut kept = true;
    for row in &asked.rows {
        eprintln!("{}: {}", row.name, row.promise);
        let report = chaos::run(row, asked.times.unwrap_or(row.full.max(1)), asked.seed, true);
        println!("{}", report.json());
        kept &= report.kept();
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn asked(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // The lower bits are those that differ from run to run.
    let mut asked = Asked { rows: Vec::new(), times: None, seed: now as u64 };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--times" => asked.times = Some(number(&arg, args.next())?.try_into().map_err(|_| USAGE)?),
            "--seed" => asked.seed = number(&arg, args.next())?,
            "--list" => {
                let lines = chaos::ROWS.iter().map(|row| format!("{:<18} {}", row.name, row.promise));
                return Err(lines.collect::<Vec<_>>().join("\n"));
            }
            name => asked.rows.push(chaos::row(name).ok_or_else(|| format!("no row {name}; see --list\n{USAGE}"))?),
        }
    }
    if asked.rows.is_empty() {
        asked.rows = chaos::ROWS.iter().filter(|row| row.full > 0).collect();
    }
    Ok(asked)
}

fn number(flag: &str, text: Option<String>) -> Result<u64, String> {
    let text = text.ok_or_else(|| format!("{flag} needs a number\n{USAGE}"))?;
    let parsed = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    parsed.map_err(|_| format!("{flag} {text}: not a number\n{USAGE}"))
}
