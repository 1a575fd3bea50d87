//! `baton submit`: hands a task over and prints its id.

use crate::{exit::ExitStatus, failure::Failure, follow, printer, printer::Form, task_options::TaskOptions};
use clap::Args;
use client::Client;
use serde_json::json;
use wire::v1::TaskStatus;

#[derive(Args)]
pub struct Submit {
    #[command(flatten)]
    options: TaskOptions,
    /// Wait for the end: exit code 0 if the task completed, else 1
    #[arg(long)]
    wait: bool,
}

pub async fn submit(gateway: &Client, form: Form, args: Submit) -> Result<ExitStatus, Failure> {
    let accepted = gateway.submit(args.options.spec()?).await?;
    match form {
        Form::Json => printer::json(&json!({"task_id": accepted.task_id, "state_reason": accepted.state_reason}))?,
        Form::Table => printer::line(&accepted.task_id)?,
    }
    if !accepted.state_reason.is_empty() {
        printer::note(&format!("waiting: {}", crate::escape::shown(&accepted.state_reason)));
    }
    if !args.wait {
        return Ok(ExitStatus::Success);
    }
    let end = follow::follow(gateway, &accepted.task_id, false, |_| Ok(())).await?;
    let completed = end.status == TaskStatus::Completed;
    Ok(if completed { ExitStatus::Success } else { ExitStatus::Error })
}
