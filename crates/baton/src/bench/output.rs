//! How much output a second: one task writes, until all of it is durable at the scheduler; read meanwhile, if asked to.

use super::{Report, report::rounded, work};
use crate::failure::Failure;
use clap::Args;
use client::{Client, v1};
use std::time::Instant;
use tokio_stream::StreamExt as _;

const MIB: f64 = 1024.0 * 1024.0;

#[derive(Args)]
pub struct Output {
    /// How much it writes, such as 64MiB or 1GiB
    #[arg(long, value_name = "SIZE", value_parser = service::size, default_value = "1GiB")]
    bytes: u64,
    /// Read it through the gateway while it is written
    #[arg(long)]
    follow: bool,
}

pub async fn output(client: &Client, queue: &str, args: &Output) -> Result<Report, Failure> {
    let Output { bytes, follow } = args;
    let spec = v1::TaskSpec { queue: queue.to_owned(), ..Default::default() };
    let spec = work::command(spec, "head", &["-c".into(), bytes.to_string(), "/dev/zero".into()]);
    let began = Instant::now();
    let accepted = client.submit(spec).await?;
    let mut story = client.watch(&accepted.task_id, "", *follow).await?;
    let (mut read, mut end) = (0, String::new());
    while let Some(event) = story.next().await {
        match event?.event {
            Some(v1::task_event::Event::Output(frame)) => read += frame.data.len() as u64,
            Some(v1::task_event::Event::State(state)) => end = state.message,
            _ => {}
        }
    }
    let took = began.elapsed();
    let stored = client.get(&accepted.task_id).await?;
    if stored.status() != v1::TaskStatus::Completed || (*follow && read != *bytes) {
        return Err(Failure::error(format!("the task wrote something else: {read} bytes read; {end}")));
    }
    let rate = *bytes as f64 / MIB / took.as_secs_f64();
    let report = Report::new("output").with("mib", rounded(*bytes as f64 / MIB)).with("followed", *follow);
    Ok(report.with("mib_per_s", rounded(rate)).with("seconds", rounded(took.as_secs_f64())))
}
