//! The n-th sync of each of the scheduler's threads fails, for a range of n: `failing_sync 1 100`. One JSON line each, and
//! one for all; code 1 if any answer was wrong.

use e2e::{SyncScript, failing_sync};
use std::process::ExitCode;

/// GUARANTEES asks for so many.
const UP_TO: u32 = 100;
/// Enough for a hundred syncs of the thread that commits.
const TASKS: usize = 60;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u32>().ok());
    let (from, to) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(UP_TO));
    let (mut runs, mut wrong, mut unknown, mut refused, mut reigns) = (0, 0, 0, 0, 0);
    for n in from..=to {
        let Some(done) = failing_sync(n, TASKS).await else {
            println!("{}", serde_json::json!({"row": "failing-sync", "skipped": "strace is not installed"}));
            return ExitCode::SUCCESS;
        };
        let SyncScript { n, acknowledged, refused: no, unknown: open, reigns: begun, wrong: contradictions } = done;
        println!(
            "{}",
            serde_json::json!({"row": "failing-sync", "n": n, "acknowledged": acknowledged, "refused": no, "unknown": open,
                "reigns": begun, "wrong": contradictions})
        );
        (runs, wrong, unknown) = (runs + 1, wrong + contradictions.len(), unknown + open);
        (refused, reigns) = (refused + no, reigns + begun.saturating_sub(1));
    }
    println!(
        "{}",
        serde_json::json!({"row": "failing-sync", "runs": runs, "restarts": reigns, "unknown": unknown, "refused": refused,
            "wrong": wrong})
    );
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
