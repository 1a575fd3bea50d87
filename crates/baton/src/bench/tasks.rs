//! How many tasks a second: handed over in batches, until the last one's end is on disk.

use super::{Report, Services, Work, report::rounded, services::Service};
use crate::failure::Failure;
use clap::Args;
use client::{Client, v1};
use domain::{Counts, StateWord};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Between two looks at how many have ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Without progress for so long something is wrong.
const STUCK: Duration = Duration::from_secs(60);
/// As many run first at most, uncounted: they pay for connections and caches, and show how long such a task runs.
const WARM_UP: u64 = 500;

#[derive(Args)]
pub struct Tasks {
    /// How many [default: 200000, or 5000 if each is a process]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    tasks: Option<u64>,
    /// Tasks in one call
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Calls under way at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    calls: u64,
    #[command(flatten)]
    work: Work,
}

pub async fn tasks(client: &Client, queue: &str, services: Option<&Services>, args: &Tasks) -> Result<Report, Failure> {
    let Tasks { tasks, batch, calls, work } = args;
    let spec = work.spec(queue, services.is_some())?;
    let tasks = tasks.unwrap_or(if work.is_command() { 5_000 } else { 200_000 });
    let first = tasks.div_ceil(10).min(WARM_UP);
    submit(client, &spec, first, first, 1).await?;
    ended(client, queue, first).await?;
    let before = services.map(Services::costs).unwrap_or_default();
    let began = Instant::now();
    submit(client, &spec, tasks, *batch, *calls).await?;
    let accepted = began.elapsed();
    let failed = ended(client, queue, first + tasks).await?;
    let took = began.elapsed();
    let rate = |time: Duration| rounded(tasks as f64 / time.as_secs_f64());
    let mut report = Report::new("tasks")
        .with("tasks", tasks)
        .with("tasks_per_s", rate(took))
        .with("accepted_per_s", rate(accepted))
        .with("failed", failed);
    for (after, before) in services.map(Services::costs).unwrap_or_default().iter().zip(&before) {
        let name = match after.service {
            Service::Scheduler => "scheduler_cpu_us",
            Service::Gateway => "gateway_cpu_us",
            Service::Worker => "worker_cpu_us",
        };
        report = report.with(name, rounded((after.cpu_seconds - before.cpu_seconds) * 1e6 / tasks as f64));
    }
    Ok(report)
}

/// Hands them over, `batch` a call, `calls` calls at once.
async fn submit(client: &Client, spec: &v1::TaskSpec, tasks: u64, batch: u64, calls: u64) -> Result<(), Failure> {
    let mut set = JoinSet::new();
    for call in 0..calls {
        let (client, spec) = (client.clone(), spec.clone());
        // The last call takes what doesn't divide.
        let share = tasks / calls + if call + 1 == calls { tasks % calls } else { 0 };
        set.spawn(async move {
            let mut left = share;
            while left > 0 {
                let next = batch.min(left);
                client.submit_many(vec![spec.clone(); usize::try_from(next).unwrap_or(1)]).await?;
                left -= next;
            }
            Ok::<_, client::Error>(())
        });
    }
    while let Some(done) = set.join_next().await {
        done.map_err(|error| Failure::error(format!("a call broke off: {error}")))??;
    }
    Ok(())
}

/// Waits until so many tasks of the queue have ended. Tells how many of them did not complete.
async fn ended(client: &Client, queue: &str, tasks: u64) -> Result<Value, Failure> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let counts = counts(client, queue).await?;
        let done = counts.sum(StateWord::is_final);
        if done >= tasks {
            return Ok(json!(done - counts.get(StateWord::Completed)));
        }
        if done > last {
            (last, moved) = (done, Instant::now());
        }
        if moved.elapsed() > STUCK {
            let text = format!("nothing ends any more: {done} of {tasks} tasks of queue {queue} have");
            return Err(Failure::hint(text, "`baton list --queue` and `baton explain` say what they wait for"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn counts(client: &Client, queue: &str) -> Result<Counts, Failure> {
    let queues = client.queues().await?;
    let found = queues.into_iter().find(|found| found.queue == queue);
    Ok(Counts::from(&found.and_then(|found| found.tasks).unwrap_or_default()))
}
