//! `baton drain WORKER`: the worker takes nothing new; with `--wait`, until it holds nothing any more.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form};
use clap::Args;
use client::Client;
use domain::Kind;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks at what the worker still holds.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Args)]
pub struct Drain {
    /// The worker's id
    worker: String,
    /// It may take tasks again
    #[arg(long, conflicts_with = "wait")]
    undo: bool,
    /// Wait until it holds nothing any more; Ctrl-C stops waiting, not the draining
    #[arg(long)]
    wait: bool,
}

pub async fn drain(gateway: &Client, form: Form, args: &Drain) -> Result<ExitStatus, Failure> {
    let mut running = gateway.drain(&args.worker, args.undo).await?;
    if args.wait && running > 0 {
        printer::note(&format!("waiting for {running} attempt(s) to end"));
        tokio::select! {
            emptied = emptied(gateway, &args.worker) => emptied?,
            _ = tokio::signal::ctrl_c() => {
                printer::note("\nbaton: no longer waiting; the worker goes on draining");
                return Ok(ExitStatus::Cancelled);
            }
        }
        running = 0;
    }
    let word = if args.undo { "connected" } else { "draining" };
    match form {
        Form::Json => printer::json(&json!({"worker_id": args.worker, "draining": !args.undo, "running": running}))?,
        Form::Table => printer::line(&format!("{} {word}, {running} running", shown(&args.worker)))?,
    }
    Ok(ExitStatus::Success)
}

/// Until the worker holds nothing, or is forgotten. Gateway and scheduler may go away and come back in between.
async fn emptied(gateway: &Client, id: &str) -> Result<(), Failure> {
    loop {
        // Before the first look as well: what is told of workers may be 100 ms old, and know nothing of what just began.
        sleep(LOOK_EVERY).await;
        match gateway.workers().await {
            Ok(workers) if !workers.iter().any(|worker| worker.worker_id == id && worker.running > 0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), None | Some(Kind::Unavailable | Kind::Unknown)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
