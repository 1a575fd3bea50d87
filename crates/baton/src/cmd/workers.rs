//! `baton workers`: who executes.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, view};
use client::Client;
use wire::v1;

pub async fn workers(gateway: &Client, form: Form) -> Result<ExitStatus, Failure> {
    let workers = gateway.workers().await?;
    match form {
        Form::Json => printer::json(&workers.iter().map(view::worker).collect::<Vec<_>>())?,
        Form::Table => {
            let head = ["WORKER", "STATUS", "RUNNING", "SLOTS", "KILLS BY", "HANDLERS", "LABELS", "LAST HEARD"];
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
        shown(&worker.kill_level),
        shown(&worker.handlers.join(",")),
        shown(&labels.join(",")),
        view::time(worker.last_heartbeat_ms).unwrap_or_default(),
    ]
}
