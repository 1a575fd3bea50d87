//! Clocks that jump by a day, forth and back, under the scheduler and a worker: leases, timeouts and back-off don't notice,
//! and nothing that ended just now is taken for old.

use super::{
    Report,
    kill_scheduler::LongTasks,
    load::{Load, block_on, each_ran_once, ended, submit},
};
use crate::{Cluster, connected, shell};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use wire::v1;

/// Debian's libfaketime, where it is installed.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/// The jumps, in turn: what the clock is off by.
const JUMPS: [&str; 4] = ["+1d", "+0", "-1d", "+0"];
/// Half of a jump.
const HALF_A_DAY: Duration = Duration::from_secs(12 * 3_600);
/// How long a task may run that runs longer, and one that doesn't.
const TIMEOUT_MS: i64 = 1_500;
/// Out of contact, attempts are lost so soon.
const LOST_AFTER: &str = "5s";

pub(super) fn run(times: u32, report: &mut Report) {
    let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).exists()) else {
        return report.skip("libfaketime is not installed");
    };
    let mut cluster = Cluster::empty();
    let clock = cluster.dir().join("clock");
    let set = |offset: &str| fs::write(&clock, offset).unwrap_or_else(|e| panic!("{}: {e}", clock.display()));
    set("+0");
    cluster.environment = [
        ("LD_PRELOAD", library.to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec();
    cluster.slots = 12;
    // Sooner than a jump: nothing may be deleted because the clock was off for a moment.
    cluster.scheduler_args = ["--lost-after", LOST_AFTER, "--retention", "2d"].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    cluster.start_gateway();
    (0..2).for_each(|index| cluster.start_worker(index));
    connected(&cluster, 2);
    let long = LongTasks::start(&cluster);
    let load = Load::start(&cluster, 2, 0.02);
    let (mut timed, mut shifted) = (Vec::new(), 0);
    for number in 0..times {
        let key = |what: &str| format!("{what}-{number}");
        let keyed = |what: &str, spec: v1::TaskSpec| v1::TaskSpec { idempotency_key: key(what), ..spec };
        let limit = Some(TIMEOUT_MS);
        let specs = vec![
            keyed("late", v1::TaskSpec { timeout_ms: limit, ..shell("sleep 30") }),
            keyed("soon", v1::TaskSpec { timeout_ms: Some(60_000), ..shell("sleep 2") }),
            keyed("again", v1::TaskSpec { max_retries: 1, ..shell("test $BATON_ATTEMPT = 2") }),
        ];
        let began = Instant::now();
        let ids = block_on(async { submit(&cluster.client(), specs).await });
        std::thread::sleep(Duration::from_millis(report.draw(100..600)));
        set(JUMPS[number as usize % JUMPS.len()]);
        if number % 3 == 2 {
            // What outlives a restart is stored by that clock.
            cluster.kill_scheduler();
            cluster.start_scheduler();
            connected(&cluster, 2);
        }
        timed.extend(ids.clone());
        let tasks = ended(&cluster, &ids);
        shifted += tasks.iter().filter(|task| is_shifted(task)).count();
        let states: Vec<String> = tasks.into_iter().map(|task| task.state).collect();
        report.tried(ids.len());
        report.must(states == ["timed_out", "completed", "completed"], || format!("at {number}: {states:?}"));
        report.recovered(began.elapsed());
    }
    report.figure("accepted_by_a_wrong_clock", shifted);
    report.must(times < 2 || shifted > 0, || "the clock never jumped".into());
    set("+0");
    long.open();
    let (witness, ids) = (load.witness().to_owned(), load.stop());
    each_ran_once(&cluster, &ids, &witness, report);
    long.account(&cluster, report);
    // Still there, and as they were.
    report.wrong(timed.len() - ended(&cluster, &timed).len());
}

/// Whether it was accepted by a clock that is far from ours.
fn is_shifted(task: &v1::Task) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i128::from(task.created_at_ms).abs_diff(i128::try_from(now).unwrap_or(0)) > HALF_A_DAY.as_millis()
}
