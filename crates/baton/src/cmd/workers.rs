//! `baton workers`: who executes; `baton workers forget ID`: what a worker that won't come back held is lost at once.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, view};
use clap::{Args, Subcommand};
use client::Client;
use serde_json::json;
use wire::v1;

#[derive(Args)]
pub struct Workers {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// List them (what `workers` alone does)
    List,
    /// Give up at once what a worker that is not connected held
    Forget {
        /// The worker's id
        id: String,
    },
}

pub async fn workers(gateway: &Client, form: Form, args: &Workers) -> Result<ExitStatus, Failure> {
    match &args.verb {
        None | Some(Verb::List) => list(gateway, form).await,
        Some(Verb::Forget { id }) => forget(gateway, form, id).await,
    }
}

async fn forget(gateway: &Client, form: Form, id: &str) -> Result<ExitStatus, Failure> {
    let lost = gateway.forget(id).await?;
    match form {
        Form::Json => printer::json(&json!({"worker_id": id, "lost": lost}))?,
        Form::Table => printer::line(&format!("{} forgotten, {lost} attempt(s) lost", shown(id)))?,
    }
    Ok(ExitStatus::Success)
}

async fn list(gateway: &Client, form: Form) -> Result<ExitStatus, Failure> {
    let workers = gateway.workers().await?;
    match form {
        Form::Json => printer::json(&workers.iter().map(view::worker).collect::<Vec<_>>())?,
        Form::Table => {
            let head = ["WORKER", "STATUS", "RUNNING", "SLOTS", "RUNS", "KILLS BY", "HANDLERS", "LABELS", "LAST HEARD"];
            printer::table(&head, workers.iter().map(row).collect())?;
        }
    }
    Ok(ExitStatus::Success)
}

fn row(worker: &v1::WorkerInfo) -> Vec<String> {
    let mut labels: Vec<String> = worker.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    labels.sort();
    vec![
        shown(&worker.worker_id),
        worker.status.clone(),
        worker.running.to_string(),
        worker.slots.to_string(),
        shown(&worker.executors.join(",")),
        shown(&worker.kill_level),
        shown(&worker.handlers.join(",")),
        shown(&labels.join(",")),
        view::time(worker.last_heartbeat_ms).unwrap_or_default(),
    ]
}
