//! What it costs to do nothing: services that were started for it, a worker connected, and no task.

use super::{
    Report, Services,
    report::rounded,
    services::{Cost, Service},
};
use crate::{duration, failure::Failure};
use clap::Args;
use client::Client;
use std::time::{Duration, Instant};

/// Before anything is looked at: what follows a start, such as the first looks after each other's health, is over.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

#[derive(Args)]
pub struct Idle {
    /// How long nothing is done, such as 30s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "30s")]
    time: Duration,
}

pub async fn idle(client: &Client, services: Option<&Services>, args: &Idle) -> Result<Report, Failure> {
    let Some(services) = services else {
        return Err(Failure::usage("--running: `idle` measures services that it has started, which nobody else uses"));
    };
    // It has been used, as in use: everything that is made when first needed is there.
    client.workers().await?;
    tokio::time::sleep(SETTLED_AFTER).await;
    let (before, began) = (services.costs(), Instant::now());
    tokio::time::sleep(args.time).await;
    let seconds = began.elapsed().as_secs_f64();
    let mut report = Report::new("idle").with("seconds", rounded(seconds));
    for (after, before) in services.costs().iter().zip(&before) {
        let Cost { service, cpu_seconds, mib } = after;
        let share = (cpu_seconds - before.cpu_seconds) / seconds * 100.0;
        let (share_name, mib_name) = match service {
            Service::Scheduler => ("scheduler_cpu_percent", "scheduler_mib"),
            Service::Gateway => ("gateway_cpu_percent", "gateway_mib"),
            Service::Worker => ("worker_cpu_percent", "worker_mib"),
        };
        report = report.with(share_name, rounded(share)).with(mib_name, rounded(*mib));
    }
    Ok(report)
}
