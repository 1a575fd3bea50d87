//! `baton queues`: what waits where; `queues pause` and `queues resume`: whether it is given to workers.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, view};
use clap::{Args, Subcommand};
use client::Client;
use domain::{Counts, StateWord};
use serde_json::json;
use wire::v1;

#[derive(Args)]
pub struct Queues {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// List them (what `queues` alone does)
    List,
    /// Give nothing of a queue to workers any more; what runs runs on
    Pause {
        /// The queue's name
        queue: String,
    },
    /// Go on with a paused queue
    Resume {
        /// The queue's name
        queue: String,
    },
}

pub async fn queues(gateway: &Client, form: Form, args: &Queues) -> Result<ExitStatus, Failure> {
    match &args.verb {
        None | Some(Verb::List) => list(gateway, form).await,
        Some(Verb::Pause { queue }) => pause(gateway, form, queue, true).await,
        Some(Verb::Resume { queue }) => pause(gateway, form, queue, false).await,
    }
}

async fn pause(gateway: &Client, form: Form, queue: &str, paused: bool) -> Result<ExitStatus, Failure> {
    gateway.pause(queue, !paused).await?;
    match form {
        Form::Json => printer::json(&json!({"queue": queue, "paused": paused}))?,
        Form::Table => printer::line(&format!("{} {}", shown(queue), if paused { "paused" } else { "resumed" }))?,
    }
    Ok(ExitStatus::Success)
}

async fn list(gateway: &Client, form: Form) -> Result<ExitStatus, Failure> {
    let queues = gateway.queues().await?;
    match form {
        Form::Json => printer::json(&queues.iter().map(view::queue).collect::<Vec<_>>())?,
        Form::Table => {
            let head = ["QUEUE", "STATE", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"];
            printer::table(&head, queues.iter().map(row).collect())?;
        }
    }
    Ok(ExitStatus::Success)
}

/// Timed out counts as failed here: JSON tells each state apart.
fn row(queue: &v1::QueueInfo) -> Vec<String> {
    let v1::QueueInfo { queue, paused, tasks } = queue;
    let counts = Counts::from(&tasks.unwrap_or_default());
    let running = counts.sum(|word| !word.is_pending() && !word.is_final());
    let failed = counts.get(StateWord::Failed) + counts.get(StateWord::TimedOut);
    vec![
        shown(queue),
        if *paused { "paused" } else { "active" }.to_owned(),
        counts.sum(StateWord::is_pending).to_string(),
        running.to_string(),
        counts.get(StateWord::Completed).to_string(),
        failed.to_string(),
        counts.get(StateWord::Cancelled).to_string(),
    ]
}
