//! How many `/bin/true` a keeper starts and sees end in a second: `cargo bench -p worker --bench keeper`.

use domain::{AttemptId, AttemptNo, ShellRun, TaskId, WorkerId};
use std::{path::PathBuf, time::Duration, time::Instant};
use worker::keeper::{Keeper, KeeperEvent, KeeperOptions, Launch, LaunchCommand};

/// Starts in all, and how many at once.
const STARTS: u64 = 5_000;
const AT_ONCE: u64 = 16;

fn launch(n: u64, line: &str) -> Launch {
    let attempt = AttemptId { task: TaskId::from_parts(1_700_000_000_000, 0, 1, n), no: AttemptNo::FIRST };
    let run = ShellRun { command: line.into(), ..ShellRun::default() };
    Launch {
        attempt,
        command: LaunchCommand::Shell(run),
        entry: None,
        timeout: None,
        grace: Duration::ZERO,
        user: None,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for line in ["/bin/true", "/bin/true; :"] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = KeeperOptions::new(WorkerId::new("bench"), &["keeper"]);
        options.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_worker")));
        let (keeper, mut events) = Keeper::open(dir.path(), options).await.expect("a keeper");
        let since = Instant::now();
        for n in 0..AT_ONCE {
            keeper.start(launch(n, line)).await.expect("sent");
        }
        let (mut next, mut ended) = (AT_ONCE, 0);
        while ended < STARTS {
            if let KeeperEvent::Exited(exited) = events.recv().await.expect("an event") {
                assert!(exited.exit.success(), "{exited:?}");
                ended += 1;
                keeper.forget(exited.attempt).await.expect("sent");
                if next < STARTS {
                    keeper.start(launch(next, line)).await.expect("sent");
                    next += 1;
                }
            }
        }
        println!("{line:14} {:6.0} starts/s", STARTS as f64 / since.elapsed().as_secs_f64());
        keeper.shutdown(true, Duration::ZERO).await.expect("sent");
        while !matches!(events.recv().await, None | Some(KeeperEvent::Gone(_))) {}
    }
}
