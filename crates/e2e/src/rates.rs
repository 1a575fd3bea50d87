//! What benches do with a cluster that has the no-op handler: tasks one after the other, and as many a second as it can.

use crate::{Cluster, Process, handler, metric};
use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use wire::v1;

/// Tasks in one call: one commit stays short, and the calls' own cost small.
const BATCH: usize = 1_000;
/// Calls under way at once: one is decided while the other's batch is read.
const CALLS: usize = 2;
/// Between two looks at the count of finished tasks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Without progress for so long, the run has failed.
const STUCK: Duration = Duration::from_secs(30);

/// Times from before the submit to the final event, one task at a time, sorted.
///
/// # Panics
/// If a call fails.
pub async fn latency(cluster: &Cluster, tasks: usize) -> Vec<Duration> {
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
///
/// # Panics
/// If a call fails, or nothing completes any more.
pub async fn throughput(cluster: &Cluster, tasks: usize) -> (Duration, Duration) {
    let done_before = completed(cluster.scheduler_address);
    let began = Instant::now();
    submit_all(cluster, tasks, &handler("noop", b"")).await;
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

/// Hands over so many of one spec, in batches.
///
/// # Panics
/// If a call fails.
pub async fn submit_all(cluster: &Cluster, tasks: usize, spec: &v1::TaskSpec) {
    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let (mut gateway, spec) = (cluster.client(), spec.clone());
        // The last call takes what doesn't divide.
        let share = tasks / CALLS + if call + 1 == CALLS { tasks % CALLS } else { 0 };
        calls.spawn(async move {
            for first in (0..share).step_by(BATCH) {
                let tasks = vec![spec.clone(); BATCH.min(share - first)];
                let answer = gateway.submit_tasks(v1::SubmitTasksRequest::from(tasks)).await;
                answer.unwrap_or_else(|s| panic!("submit: {s}"));
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap_or_else(|e| panic!("submit: {e}"));
    }
}

/// The scheduler's own count of completed tasks.
fn completed(scheduler: SocketAddr) -> usize {
    metric(scheduler, "baton_tasks_finished_total{outcome=\"completed\"}") as usize
}

/// Seconds of processor time that a process has spent.
pub fn cpu_seconds(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    // After the name in parentheses: state is field 3, user and system ticks are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(14) + ticks(15)) / rustix::param::clock_ticks_per_second() as f64
}
