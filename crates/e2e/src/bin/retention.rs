//! `make bench-retention`: finished tasks are deleted in the background while others are submitted. Millions of no-op tasks are
//! run to their end; then single submits are timed before, while they are deleted, and after, in rounds spread over minutes, for
//! a disk that others use as well has slow and quick ones. Prints one JSON line a step, and one over all rounds of each kind.
//!
//! `retention [MILLIONS]`; `retention worker …` is the worker, with a handler in its own process that does nothing.

use e2e::{Cluster, directory_mib, handler, memory_mib, metric, ms, noop_worker, percentile, start_noop_worker};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use wire::v1;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks in one call.
const BATCH: usize = 2_000;
/// Tasks that may be submitted and not yet finished: the run is about finished ones.
const AHEAD: usize = 50_000;
/// Single submits that are timed at a time, one after the other.
const SUBMITS: usize = 4_000;
/// Rounds before and after; while they are deleted as many as it lasts.
const ROUNDS: usize = 5;
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(10);
/// Without progress for so long, the run has failed.
const STUCK: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|arg| arg == "worker") {
        return noop_worker(args);
    }
    let tasks = args.next().and_then(|a| a.to_str()?.parse::<usize>().ok()).unwrap_or(1) * 1_000_000;
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(bench(tasks)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(tasks: usize) -> ExitCode {
    let mut cluster = Cluster::empty();
    cluster.scheduler_args = ["--retention", "0"].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    cluster.start_gateway();
    let worker = start_noop_worker(&cluster, 4);
    finish(&cluster, tasks).await;
    // Nobody runs what is timed: only the submits count.
    drop(worker);
    state(&cluster, "finished");
    undisturbed(&cluster, "before").await;
    cluster.kill_scheduler();
    cluster.scheduler_args = ["--retention", "1s"].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    submits(&cluster, "after a restart, while the store is checked").await;
    let began = Instant::now();
    while deleted(&cluster) < 1.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut times = Vec::new();
    while deleted(&cluster) < tasks as f64 {
        assert!(began.elapsed() < STUCK * 30, "deleting doesn't end");
        times.extend(submits(&cluster, "while deleting, a round").await);
        tokio::time::sleep(PAUSE).await;
    }
    print_times(&cluster, "while deleting", &mut times);
    let seconds = began.elapsed().as_secs_f64();
    println!("{{\"deleted\":{tasks},\"seconds\":{seconds:.0},\"per_s\":{:.0}}}", tasks as f64 / seconds);
    state(&cluster, "deleted");
    undisturbed(&cluster, "after").await;
    let _worker = start_noop_worker(&cluster, 4);
    finish(&cluster, tasks / 10).await;
    state(&cluster, "a tenth as many again");
    ExitCode::SUCCESS
}

fn deleted(cluster: &Cluster) -> f64 {
    metric(cluster.scheduler_address, "baton_retention_deleted_total")
}

fn state(cluster: &Cluster, when: &str) {
    let rss = cluster.scheduler.as_ref().map_or(0.0, |process| memory_mib(process, "VmRSS"));
    let data = directory_mib(&cluster.data_dir());
    println!("{{\"state\":\"{when}\",\"data_mib\":{data},\"rss_mib\":{rss}}}");
}

/// Submits so many and waits until all have completed.
async fn finish(cluster: &Cluster, tasks: usize) {
    let done = || metric(cluster.scheduler_address, "baton_tasks_finished_total{outcome=\"completed\"}") as usize;
    let (before, began) = (done(), Instant::now());
    let mut calls = JoinSet::new();
    let (mut sent, mut last, mut moved) = (0, 0, Instant::now());
    loop {
        let ended = done() - before;
        if ended >= tasks {
            break;
        }
        if ended > last {
            (last, moved) = (ended, Instant::now());
        }
        assert!(moved.elapsed() < STUCK, "stuck at {ended} of {tasks}");
        while sent < tasks && sent - ended < AHEAD && calls.len() < 2 {
            let batch = BATCH.min(tasks - sent);
            sent += batch;
            let mut gateway = cluster.client();
            calls.spawn(async move {
                let request = v1::SubmitTasksRequest::from(vec![handler("noop", b""); batch]);
                gateway.submit_tasks(request).await.map(drop)
            });
        }
        let pause = tokio::time::sleep(Duration::from_millis(5));
        tokio::select! {
            Some(call) = calls.join_next() => call.map_or_else(|e| panic!("submit: {e}"), |r| r.unwrap_or_else(|s| panic!("submit: {s}"))),
            () = pause => {}
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{{\"finished\":{tasks},\"seconds\":{seconds:.0},\"per_s\":{:.0}}}", tasks as f64 / seconds);
}

async fn undisturbed(cluster: &Cluster, when: &str) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        tokio::time::sleep(PAUSE).await;
        times.extend(submits(cluster, &format!("{when}, a round")).await);
    }
    print_times(cluster, when, &mut times);
}

/// Single submits, one after the other, to a queue that nobody serves.
async fn submits(cluster: &Cluster, when: &str) -> Vec<Duration> {
    let mut gateway = cluster.client();
    let mut times = Vec::with_capacity(SUBMITS);
    for _ in 0..SUBMITS {
        let began = Instant::now();
        gateway.submit_task(handler("nobody", b"")).await.unwrap_or_else(|s| panic!("submit: {s}"));
        times.push(began.elapsed());
    }
    print_times(cluster, when, &mut times);
    times
}

fn print_times(cluster: &Cluster, when: &str, times: &mut [Duration]) {
    times.sort();
    let of = |percent| ms(percentile(times, percent));
    println!(
        "{{\"submits\":\"{when}\",\"n\":{},\"p50_ms\":{},\"p99_ms\":{},\"max_ms\":{},\"deleted\":{:.0}}}",
        times.len(),
        of(50),
        of(99),
        of(100),
        deleted(cluster)
    );
}
