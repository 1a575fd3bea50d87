//! `baton logs ID`: what a task wrote, stdout to stdout and stderr to stderr.

use crate::{exit::ExitStatus, failure::Failure, follow, task_ids};
use clap::Args;
use client::Client;
use tokio_stream::StreamExt;
use wire::v1;

#[derive(Args)]
pub struct Logs {
    /// Id of a task, `last`, or the beginning or end of an id; .INDEX behind it names a member of an array
    id: String,
    /// Go on until the task has ended
    #[arg(short, long)]
    follow: bool,
    /// Only this attempt, from 1 [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
}

pub async fn logs(gateway: &Client, args: &Logs) -> Result<ExitStatus, Failure> {
    let id = task_ids::resolve(gateway, &args.id).await?;
    let task = gateway.get(&id).await?;
    if let Some(attempt) = args.attempt {
        read(gateway, &task.task_id, attempt, args.follow).await?;
    } else if args.follow || task.finished_at_ms != 0 {
        follow::follow(gateway, &task.task_id, true, follow::print_output).await?;
    } else {
        for attempt in &task.attempts {
            read(gateway, &task.task_id, attempt.number, false).await?;
        }
    }
    Ok(ExitStatus::Success)
}

/// One attempt's streams, side by side.
async fn read(gateway: &Client, id: &str, attempt: u32, follow: bool) -> Result<(), Failure> {
    let ask = |stream: v1::OutputStream| v1::ReadOutputRequest {
        task_id: id.to_owned(),
        stream: stream.into(),
        offset: 0,
        follow,
        attempt,
    };
    let (out, err) = (v1::OutputStream::Stdout, v1::OutputStream::Stderr);
    let chunks = |stream, read: client::Output| read.map(move |chunk| (stream, chunk));
    let mut both = chunks(out, gateway.output(ask(out)).await?).merge(chunks(err, gateway.output(ask(err)).await?));
    while let Some((stream, chunk)) = both.next().await {
        let chunk = chunk?;
        follow::print_bytes(stream, &chunk.data, chunk.dropped)?;
    }
    Ok(())
}
