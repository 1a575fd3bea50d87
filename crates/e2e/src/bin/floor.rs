//! `make bench`: the floor under which the shape of the system must not sink. Durable no-op handler tasks a second from
//! submit to result, and the latency of one task when nothing else is going on: gateway, scheduler and worker as three
//! real processes, measured from outside; and of `baton run -- /bin/true`, a process that starts another. Prints one JSON line.
//!
//! `floor [TASKS [LATENCIES [RUNS]]]`; `floor worker …` is the worker, with a handler in its own process that does nothing.

use e2e::{Cluster, cpu_seconds, latency, noop_worker, percentile, start_noop_worker, throughput};
use std::{
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|arg| arg == "worker") {
        return noop_worker(args);
    }
    let mut number = |otherwise: usize| args.next().and_then(|a| a.to_str()?.parse().ok()).unwrap_or(otherwise);
    let (tasks, latencies, runs) = (number(200_000), number(2_000), number(200));
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(bench(tasks, latencies, runs)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(tasks: usize, latencies: usize, runs: usize) -> ExitCode {
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
    let by_cli = by_command_line(&cluster, runs);
    let (p50, p99) = (percentile(&idle, 50), percentile(&idle, 99));
    println!(
        "{{\"tasks\":{tasks},\"tasks_per_s\":{per_second:.0},\"submitted_per_s\":{:.0},\"idle_p50_ms\":{:.2},\"idle_p99_ms\":{:.2},\
         \"run_by_cli_p50_ms\":{:.2},\"run_by_cli_p99_ms\":{:.2},\"cpu_us_per_task\":{{\"scheduler\":{:.1},\"gateway\":{:.1},\"worker\":{:.1}}}}}",
        tasks as f64 / submitted.as_secs_f64(),
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        percentile(&by_cli, 50).as_secs_f64() * 1e3,
        percentile(&by_cli, 99).as_secs_f64() * 1e3,
        spent[0],
        spent[1],
        spent[2],
    );
    ExitCode::SUCCESS
}

/// From before the start of `baton run -- /bin/true` until it has ended, one at a time, sorted.
fn by_command_line(cluster: &Cluster, runs: usize) -> Vec<Duration> {
    let once = || {
        let began = Instant::now();
        let status = cluster.baton(&["run", "--", "/bin/true", "x"]).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "baton run");
        began.elapsed()
    };
    for _ in 0..runs.div_ceil(10) {
        once();
    }
    let mut times: Vec<Duration> = (0..runs).map(|_| once()).collect();
    times.sort();
    times
}

/// Seconds of CPU that scheduler, gateway and worker have spent.
fn cpu(cluster: &Cluster) -> Vec<f64> {
    let worker = cluster.workers.first().and_then(Option::as_ref);
    [cluster.scheduler.as_ref(), cluster.gateway.as_ref(), worker]
        .into_iter()
        .map(|p| p.map_or(0.0, cpu_seconds))
        .collect()
}
