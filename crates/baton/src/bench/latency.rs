//! How soon: from the submit until the submitter has seen the end. One after the other, or, with a rate, whether the last one
//! is back or not: then a time counts from when its turn came, so that a pause of the services shows in all that it delayed.

use super::{Report, Work, report::rounded, times::Times};
use crate::failure::Failure;
use clap::Args;
use client::{Client, v1};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_stream::StreamExt as _;

/// Tasks under way at once: beyond that the services can't keep up with the rate.
const UNDER_WAY: usize = 10_000;

#[derive(Args)]
pub struct Latency {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    tasks: u32,
    /// So many a second, however long each takes [default: each when the one before is back]
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    #[command(flatten)]
    work: Work,
}

pub async fn latency(client: &Client, queue: &str, started: bool, args: &Latency) -> Result<Report, Failure> {
    let Latency { tasks, rate, work } = args;
    let spec = work.spec(queue, started)?;
    // The first ones pay for connections and caches, and show how long such a task runs.
    for _ in 0..tasks.div_ceil(10).min(200) {
        once(client, spec.clone()).await?;
    }
    let began = Instant::now();
    let times = match rate {
        None => closed(client, &spec, *tasks).await?,
        Some(rate) => open(client, &spec, *tasks, *rate).await?,
    };
    let per_second = f64::from(*tasks) / began.elapsed().as_secs_f64();
    let mut report = Report::new("latency").with("tasks", *tasks);
    if let Some(rate) = rate {
        report = report.with("asked_per_s", *rate);
    }
    Ok(report.with("tasks_per_s", rounded(per_second)).and(times.figures()))
}

async fn closed(client: &Client, spec: &v1::TaskSpec, tasks: u32) -> Result<Times, Failure> {
    let mut times = Times::new()?;
    for _ in 0..tasks {
        let began = Instant::now();
        once(client, spec.clone()).await?;
        times.add(began.elapsed());
    }
    Ok(times)
}

async fn open(client: &Client, spec: &v1::TaskSpec, tasks: u32, rate: u32) -> Result<Times, Failure> {
    let (mut times, mut under_way) = (Times::new()?, JoinSet::new());
    let began = Instant::now();
    for n in 0..tasks {
        let turn = began + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
        sleep_until(turn).await;
        while let Some(done) = under_way.try_join_next() {
            times.add(back(done)?);
        }
        if under_way.len() >= UNDER_WAY {
            return Err(Failure::error(format!("{UNDER_WAY} tasks are under way: {rate} a second is too much here")));
        }
        let (client, spec) = (client.clone(), spec.clone());
        under_way.spawn(async move {
            once(&client, spec).await?;
            Ok(turn.elapsed())
        });
    }
    while let Some(done) = under_way.join_next().await {
        times.add(back(done)?);
    }
    Ok(times)
}

fn back(done: Result<Result<Duration, Failure>, tokio::task::JoinError>) -> Result<Duration, Failure> {
    done.map_err(|error| Failure::error(format!("a task was not followed to its end: {error}")))?
}

/// One task, to its end.
async fn once(client: &Client, spec: v1::TaskSpec) -> Result<(), Failure> {
    let (_accepted, mut story) = client.run(spec, false).await?;
    while let Some(event) = story.next().await {
        event?;
    }
    Ok(())
}
