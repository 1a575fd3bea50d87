//! `baton retry ID`: runs a final task again, as a new one, and prints the new id; of an array, the members that failed.

use crate::{exit::ExitStatus, failure::Failure, notes::Notes, printer, printer::Form, task_ids, waiting::WaitOptions};
use clap::Args;
use client::Client;
use serde_json::json;

#[derive(Args)]
pub struct Retry {
    /// Id of a final task, `last`, or the beginning or end of an id; .INDEX behind it names a member of an array
    id: String,
    #[command(flatten)]
    waiting: WaitOptions,
    /// Don't say why the task can't start
    #[arg(short, long)]
    quiet: bool,
}

pub async fn retry(gateway: &Client, form: Form, args: &Retry) -> Result<ExitStatus, Failure> {
    let id = task_ids::resolve(gateway, &args.id).await?;
    let accepted = gateway.retry(&id).await?;
    match form {
        Form::Json => {
            printer::json(&json!({"task_id": accepted.task_id, "state_reason": accepted.state_reason, "retry_of": id}))?
        }
        Form::Table => printer::line(&accepted.task_id)?,
    }
    Notes::new(args.quiet).accepted(&accepted);
    let new = accepted.task_id.parse().map_err(|_| Failure::error("the gateway answered no id"))?;
    args.waiting.wait(gateway, &[new]).await
}
