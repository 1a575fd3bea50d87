//! `make bench`: the floor under which the shape of the system must not sink. Durable no-op handler tasks a second from
//! submit to result, and the latency of one task when nothing else is going on: gateway, scheduler and worker as three
//! real processes, measured from outside. Prints one JSON line.
//!
//! `floor [TASKS [LATENCIES]]`; `floor worker …` is the worker, with a handler in its own process that does nothing.

use e2e::{Cluster, Process, handler, metric, noop_worker, percentile, start_noop_worker};
use std::{
    fs,
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use wire::v1;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks in one call: one commit stays short, and the calls' own cost small.
const BATCH: usize = 1_000;
/// Calls under way at once: one is decided while the other's batch is read.
const CALLS: usize = 2;
/// Between two looks at the count of finished tasks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Without progress for so long, the run has failed.
const STUCK: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|arg| arg == "worker") {
        return noop_worker(args);
    }
    let mut number = |otherwise: usize| args.next().and_then(|a| a.to_str()?.parse().ok()).unwrap_or(otherwise);
    let (tasks, latencies) = (number(200_000), number(2_000));
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(bench(tasks, latencies)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(tasks: usize, latencies: usize) -> ExitCode {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.start_gateway();
    let worker = start_noop_worker(&cluster, 2);
    cluster.workers.push(Some(worker));
    // The first tasks pay for connections, caches and the length of the class's run time.
    latency(&cluster, latencies / 10).await;
    let idle = latency(&cluster, latencies).await;
    let before = cpu(&cluster);
    let (took, submitted) = throughput(&cluster, tasks).await;
    let spent: Vec<f64> = cpu(&cluster).iter().zip(before).map(|(a, b)| (a - b) * 1e6 / tasks as f64).collect();
    let per_second = tasks as f64 / took.as_secs_f64();
    let (p50, p99) = (percentile(&idle, 50), percentile(&idle, 99));
    println!(
        "{{\"tasks\":{tasks},\"tasks_per_s\":{per_second:.0},\"submitted_per_s\":{:.0},\"idle_p50_ms\":{:.2},\"idle_p99_ms\":{:.2},\
         \"cpu_us_per_task\":{{\"scheduler\":{:.1},\"gateway\":{:.1},\"worker\":{:.1}}}}}",
        tasks as f64 / submitted.as_secs_f64(),
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        spent[0],
        spent[1],
        spent[2],
    );
    ExitCode::SUCCESS
}

/// Times from before the submit to the final event, one task at a time, sorted.
async fn latency(cluster: &Cluster, tasks: usize) -> Vec<Duration> {
    let mut gateway = cluster.client();
    let mut times = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        let began = Instant::now();
        let accepted = gateway.submit_task(handler("noop", b"")).await.unwrap_or_else(|s| panic!("submit: {s}"));
        let task_id = accepted.into_inner().task_id;
        let request = v1::WatchTaskRequest { task_id, ..Default::default() };
        let mut story = gateway.watch_task(request).await.unwrap_or_else(|s| panic!("watch: {s}")).into_inner();
        while story.message().await.unwrap_or_else(|s| panic!("watch: {s}")).is_some() {}
        times.push(began.elapsed());
    }
    times.sort();
    times
}

/// From the first submit until all have completed, and until all were accepted.
async fn throughput(cluster: &Cluster, tasks: usize) -> (Duration, Duration) {
    let done_before = completed(cluster.scheduler_address);
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let mut gateway = cluster.client();
        // The last call takes what doesn't divide.
        let share = tasks / CALLS + if call + 1 == CALLS { tasks % CALLS } else { 0 };
        calls.spawn(async move {
            for first in (0..share).step_by(BATCH) {
                let tasks = vec![handler("noop", b""); BATCH.min(share - first)];
                let answer = gateway.submit_tasks(v1::SubmitTasksRequest::from(tasks)).await;
                answer.unwrap_or_else(|s| panic!("submit: {s}"));
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap_or_else(|e| panic!("submit: {e}"));
    }
    let submitted = began.elapsed();
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let done = completed(cluster.scheduler_address) - done_before;
        if done >= tasks {
            return (began.elapsed(), submitted);
        }
        if done > last {
            (last, moved) = (done, Instant::now());
        }
        assert!(moved.elapsed() < STUCK, "stuck at {done} of {tasks}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The scheduler's own count of completed tasks.
fn completed(scheduler: SocketAddr) -> usize {
    metric(scheduler, "baton_tasks_finished_total{outcome=\"completed\"}") as usize
}

/// Seconds of CPU that scheduler, gateway and worker have spent.
fn cpu(cluster: &Cluster) -> Vec<f64> {
    let worker = cluster.workers.first().and_then(Option::as_ref);
    [cluster.scheduler.as_ref(), cluster.gateway.as_ref(), worker].into_iter().map(|p| p.map_or(0.0, spent)).collect()
}

fn spent(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    // After the name in parentheses: state is field 3, user and system ticks are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(14) + ticks(15)) / rustix::param::clock_ticks_per_second() as f64
}
