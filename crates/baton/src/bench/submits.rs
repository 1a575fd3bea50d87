//! How many submits a second, one task each, durable when it is answered. Nothing runs meanwhile: the queue is paused.

use super::{Report, Work, report::rounded, times::Times};
use crate::failure::Failure;
use clap::Args;
use client::{Client, v1};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::task::JoinSet;

#[derive(Args)]
pub struct Submits {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    tasks: u64,
    /// Who submit at once, each waiting for the answer to its last one
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Connections that they share [default: one each]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Option<u32>,
    #[command(flatten)]
    work: Work,
}

pub async fn submits(client: &Client, queue: &str, started: bool, args: &Submits) -> Result<Report, Failure> {
    let Submits { tasks, clients, connections, work } = args;
    let spec = work.spec(queue, started)?;
    client.pause(queue, false).await?;
    let measured = measure(client, &spec, *tasks, *clients, connections.unwrap_or(*clients)).await;
    // Whatever came of it, nothing is left behind.
    let filter = v1::CancelTasksRequest { queue: queue.to_owned(), ..Default::default() };
    client.cancel_many(filter).await?;
    client.pause(queue, true).await?;
    measured
}

async fn measure(
    client: &Client,
    spec: &v1::TaskSpec,
    tasks: u64,
    clients: u32,
    connections: u32,
) -> Result<Report, Failure> {
    let lines: Vec<Client> = (0..connections.min(clients)).map(|_| client.another()).collect::<Result<_, _>>()?;
    for line in &lines {
        line.health().await?;
    }
    let left = Arc::new(AtomicU64::new(tasks));
    let mut set = JoinSet::new();
    let began = Instant::now();
    for line in lines.iter().cycle().take(usize::try_from(clients).unwrap_or(1)) {
        let (line, spec, left) = (line.clone(), spec.clone(), Arc::clone(&left));
        set.spawn(async move {
            let mut times = Times::new()?;
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let began = Instant::now();
                line.submit(spec.clone()).await?;
                times.add(began.elapsed());
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut all = Times::new()?;
    while let Some(done) = set.join_next().await {
        all.join(&done.map_err(|error| Failure::error(format!("a client broke off: {error}")))??);
    }
    let rate = tasks as f64 / began.elapsed().as_secs_f64();
    let report = Report::new("submit").with("tasks", tasks).with("clients", clients).with("connections", lines.len());
    Ok(report.with("submits_per_s", rounded(rate)).and(all.figures()))
}
