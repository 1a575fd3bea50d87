//! `baton cancel ID…`: ends tasks; when it returns, their processes are gone, or it says that they are still going.

use crate::{exit::ExitStatus, failure::Failure, printer, printer::Form};
use clap::Args;
use client::Client;
use serde_json::json;

#[derive(Args)]
pub struct Cancel {
    /// Ids of tasks, `last`, or beginnings or ends of ids
    #[arg(required = true)]
    ids: Vec<String>,
    /// Don't wait until the processes are gone
    #[arg(long)]
    no_wait: bool,
}

pub async fn cancel(gateway: &Client, form: Form, args: &Cancel) -> Result<ExitStatus, Failure> {
    let mut worst = ExitStatus::Success;
    for given in &args.ids {
        // One that can't be cancelled doesn't keep the others alive.
        match one(gateway, given, !args.no_wait).await {
            Ok((id, state)) => match form {
                Form::Json => printer::json(&json!({"task_id": id, "state": state}))?,
                Form::Table => printer::line(&format!("{id} {state}"))?,
            },
            Err(failure) => worst = failure.show(),
        }
    }
    Ok(worst)
}

async fn one(gateway: &Client, given: &str, wait: bool) -> Result<(String, String), Failure> {
    let id = gateway.resolve(given).await?;
    let state = gateway.cancel(&id, wait).await?.state;
    Ok((id, state))
}
