//! Hours of load with faults: what grows without end shows as a line that isn't flat.

use super::{
    Report,
    curves::{Curves, Sample},
    load::{Load, block_on},
};
use crate::{Cluster, PATIENCE, alive_under, connected, directory_mib, memory_mib, shell, witness};
use rustix::process::Signal;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use wire::v1;

/// A unit of the row.
const UNIT: Duration = Duration::from_secs(10);
/// Samples in all, at most: a plot shows no more.
const SAMPLES: u32 = 400;
/// Between two samples at least.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Between two faults.
const FAULT_EVERY: Duration = Duration::from_secs(5);
/// So many faults hit readers, workers and the clock's patience before scheduler or gateway die: what leaks needs a life
/// to show it.
const FAULTS_A_LIFE: u64 = 24;
/// Ended tasks stay so long: a tenth of the shortest soak that means something.
const RETENTION: &str = "1m";
/// What a task that is heard writes.
const LOUD_BYTES: usize = 2 << 20;

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 4;
    cluster.scheduler_args = ["--retention", RETENTION].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    cluster.start_gateway();
    (0..2).for_each(|index| cluster.start_worker(index));
    let whole = UNIT * times;
    let load = Load::start(&cluster, 2, 0.02);
    let (began, mut curves) = (Instant::now(), Curves::default());
    let (mut sampled, mut fault_at, mut faults) = (began, began + FAULT_EVERY, 0);
    while began.elapsed() < whole {
        if sampled <= Instant::now() {
            curves.add(sample(&cluster, began.elapsed()));
            sampled += SAMPLE_EVERY.max(whole / SAMPLES);
        }
        if fault_at <= Instant::now() {
            fault(&mut cluster, faults, report);
            faults += 1;
            fault_at = Instant::now() + FAULT_EVERY;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (file, ids) = (load.witness().to_owned(), load.stop());
    drained(&cluster);
    curves.add(sample(&cluster, began.elapsed()));
    let lines = witness(&file);
    let attempts: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    let ran: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    report.tried(ids.len());
    report.lost(ids.iter().filter(|id| !ran.contains(id.as_str())).count());
    report.duplicated(lines.len() - attempts.len());
    report.figure("attempts_restarted", attempts.len() - ran.len());
    report.figure("faults", faults);
    report.figure("minutes", (began.elapsed().as_secs_f64() / 6.0).round() / 10.0);
    for (name, first, last) in curves.trends() {
        report.figure(name, serde_json::json!({ "second_quarter": first, "last_quarter": last }));
    }
    // In a short run caches still fill: only a long one says what is flat.
    if began.elapsed() >= UNIT * 60 {
        let growing: Vec<&str> = curves.growing();
        report.must(growing.is_empty(), || format!("not flat: {growing:?}"));
    }
    match curves.write(&directory()) {
        Ok(plot) => report.figure("plot", plot.display().to_string()),
        Err(error) => report.broken(format!("the plot: {error}")),
    }
}

/// Where the plot goes: beside the programs, where nothing else is looked for.
fn directory() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).unwrap_or(Path::new(".")).join("soak")
}

/// One of the faults that the other rows try one by one.
fn fault(cluster: &mut Cluster, number: u64, report: &mut Report) {
    loud(cluster, number);
    if number % FAULTS_A_LIFE == FAULTS_A_LIFE - 1 {
        if (number / FAULTS_A_LIFE).is_multiple_of(2) {
            cluster.kill_scheduler();
            cluster.start_scheduler();
        } else {
            cluster.kill_gateway();
            cluster.start_gateway();
        }
        return connected(cluster, 2);
    }
    match report.draw(0..3) {
        0 => {
            let worker = report.draw(0..2) as usize;
            cluster.kill_worker(worker);
            cluster.start_worker(worker);
            connected(cluster, 2);
        }
        1 => {
            let pause = Duration::from_millis(report.draw(500..3_000));
            for process in [&cluster.scheduler, &cluster.gateway].into_iter().flatten() {
                process.signal(Signal::STOP);
                std::thread::sleep(pause / 2);
                process.signal(Signal::CONT);
            }
        }
        _ => {}
    }
}

/// A task with much output, a reader that hangs up in the middle of it, and a cancel of every other one.
fn loud(cluster: &Cluster, number: u64) {
    let spec = shell(&format!("head -c {LOUD_BYTES} /dev/zero | tr '\\0' x; sleep 0.2"));
    block_on(async {
        let mut gateway = cluster.client();
        // Whatever fails here fails because somebody is away; the accounts are those of the load.
        let Ok(accepted) = gateway.submit_task(spec).await else { return };
        let task_id = accepted.into_inner().task_id;
        let request = v1::WatchTaskRequest { task_id: task_id.clone(), after: String::new(), output: true };
        if let Ok(story) = gateway.watch_task(request).await {
            let mut story = story.into_inner();
            for _ in 0..4 {
                let _ = tokio::time::timeout(Duration::from_millis(300), story.message()).await;
            }
        }
        if number.is_multiple_of(2) {
            let _ = gateway.cancel_task(v1::CancelTaskRequest { task_id, wait: false }).await;
        }
    });
}

/// Waits until nothing is left to do.
fn drained(cluster: &Cluster) {
    let began = Instant::now();
    loop {
        let queues = block_on(async { cluster.client().list_queues(v1::ListQueuesRequest {}).await });
        let queues = queues.map(|response| response.into_inner().queues).unwrap_or_default();
        let open = |counts: v1::TaskCounts| {
            counts.queued + counts.dispatched + counts.running + counts.cancelling + counts.backing_off + counts.delayed
        };
        let left: u64 = queues.iter().filter_map(|queue| queue.tasks).map(open).sum();
        if left == 0 && !queues.is_empty() {
            return;
        }
        assert!(began.elapsed() < PATIENCE * 2, "{left} tasks never end");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn sample(cluster: &Cluster, at: Duration) -> Sample {
    let data = cluster.data_dir();
    let rss = |process: Option<&crate::Process>| process.map_or(0.0, |process| memory_mib(process, "VmRSS"));
    let fds = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count()) as f64;
    let fds_of = |process: Option<&crate::Process>| process.map_or(0.0, |process| fds(process.pid()));
    let named =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"baton-keeper"));
    let keepers: Vec<u32> = alive_under(cluster.dir()).into_iter().filter(named).collect();
    let keepers_kib: f64 = keepers.iter().map(|pid| resident_kib(*pid)).sum();
    let worker = cluster.workers.first().and_then(Option::as_ref);
    let size = |name: &str| fs::metadata(data.join(name)).map_or(0.0, |meta| meta.len() as f64 / f64::from(1 << 20));
    let segments = fs::read_dir(data.join("output")).map_or(0, |entries| entries.count());
    Sample {
        at,
        values: vec![
            ("scheduler_rss_mib", rss(cluster.scheduler.as_ref())),
            ("gateway_rss_mib", rss(cluster.gateway.as_ref())),
            ("worker_rss_mib", rss(worker)),
            ("keepers_rss_mib", keepers_kib / 1024.0),
            ("scheduler_fds", fds_of(cluster.scheduler.as_ref())),
            ("gateway_fds", fds_of(cluster.gateway.as_ref())),
            ("keepers_fds", keepers.iter().map(|pid| fds(*pid)).sum()),
            ("wal_mib", size("tasks.sqlite-wal")),
            ("store_mib", size("tasks.sqlite")),
            ("segments", segments as f64),
            ("output_mib", directory_mib(&data.join("output"))),
        ],
    }
}

fn resident_kib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}
