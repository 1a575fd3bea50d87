//! What a long backlog costs: an array and distinct tasks are handed over, and nobody runs them. Of services that were started
//! for it also their memory, and how soon they are back after `kill -9`.

use super::{Report, Services, report::rounded, work};
use crate::failure::Failure;
use clap::Args;
use client::{Client, v1};
use std::time::Instant;
use tokio::task::JoinSet;

/// Tasks in one call, and calls at once: as many as `baton submit --from-json` has under way.
const BATCH: u64 = 2_000;
const CALLS: u64 = 8;
/// How often the scheduler is killed.
const RESTARTS: usize = 3;

#[derive(Args)]
pub struct Backlog {
    /// Members of the array
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    array: u32,
    /// Distinct tasks
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    tasks: u64,
}

pub async fn backlog(
    client: &Client,
    queue: &str,
    services: Option<&mut Services>,
    args: &Backlog,
) -> Result<Report, Failure> {
    client.pause(queue, false).await?;
    let measured = measure(client, queue, services, args).await;
    let filter = v1::CancelTasksRequest { queue: queue.to_owned(), ..Default::default() };
    client.cancel_many(filter).await?;
    client.pause(queue, true).await?;
    measured
}

async fn measure(
    client: &Client,
    queue: &str,
    services: Option<&mut Services>,
    args: &Backlog,
) -> Result<Report, Failure> {
    let Backlog { array, tasks } = args;
    let spec = v1::TaskSpec { queue: queue.to_owned(), ..Default::default() };
    let members = v1::TaskArray { ranges: vec![v1::Range { first: 1, last: *array }], entries: Vec::new() };
    let began = Instant::now();
    client.submit(v1::TaskSpec { array: Some(members), ..work::command(spec.clone(), "true", &[]) }).await?;
    let array_took = began.elapsed();
    let began = Instant::now();
    distinct(client, &spec, *tasks).await?;
    let took = began.elapsed();
    let mut report = Report::new("backlog")
        .with("array_members", *array)
        .with("array_seconds", rounded(array_took.as_secs_f64()))
        .with("tasks", *tasks)
        .with("tasks_seconds", rounded(took.as_secs_f64()))
        .with("tasks_per_s", rounded(*tasks as f64 / took.as_secs_f64()));
    if let Some(services) = services {
        report = report.with("scheduler_mib", rounded(services.scheduler_mib()));
        let mut times = Vec::with_capacity(RESTARTS);
        for _ in 0..RESTARTS {
            times.push(services.restart(client).await?);
        }
        times.sort();
        let median = times.get(RESTARTS / 2).copied().unwrap_or_default();
        report = report.with("ready_after_kill_ms", rounded(median.as_secs_f64() * 1e3));
    }
    Ok(report)
}

/// Each differs from all others.
async fn distinct(client: &Client, spec: &v1::TaskSpec, tasks: u64) -> Result<(), Failure> {
    let mut set = JoinSet::new();
    for call in 0..CALLS {
        let (client, spec) = (client.clone(), spec.clone());
        let (mut n, last) = (tasks * call / CALLS, tasks * (call + 1) / CALLS);
        set.spawn(async move {
            while n < last {
                let end = last.min(n + BATCH);
                let batch = (n..end).map(|n| work::command(spec.clone(), "echo", &[n.to_string()])).collect();
                client.submit_many(batch).await?;
                n = end;
            }
            Ok::<_, client::Error>(())
        });
    }
    while let Some(done) = set.join_next().await {
        done.map_err(|error| Failure::error(format!("a call broke off: {error}")))??;
    }
    Ok(())
}
