//! `baton cancel ID…`: ends tasks; when it returns, their processes are gone, or it says that they are still going. With
//! filters instead of ids: all unfinished tasks that match.

use crate::{exit::ExitStatus, failure::Failure, printer, printer::Form, status::Status, task_ids};
use clap::Args;
use client::Client;
use serde_json::json;
use wire::v1;

/// The options that say which tasks, instead of ids.
const FILTERS: [&str; 6] = ["queue", "name", "worker", "status", "array_id", "all"];

#[derive(Args)]
pub struct Cancel {
    /// Ids of tasks, `last`, or beginnings or ends of ids; .INDEX behind one names a member of an array
    #[arg(conflicts_with_all = FILTERS)]
    ids: Vec<String>,
    /// Don't wait until the processes are gone (with filters that is never waited for)
    #[arg(long)]
    no_wait: bool,
    /// All unfinished tasks of this queue; where several filters are given, all must match
    #[arg(long, default_value = "", hide_default_value = true)]
    queue: String,
    /// All unfinished tasks of exactly this name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// All unfinished tasks last on this worker
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    worker: String,
    /// With --worker: also tasks that wait for it and were never on any
    #[arg(long, requires = "worker")]
    waiting: bool,
    /// All tasks in this state; may be repeated
    #[arg(long, value_enum)]
    status: Vec<Status>,
    /// Members of this array that have not ended
    #[arg(long, value_name = "ID")]
    array_id: Option<String>,
    /// Every unfinished task there is; needs --yes
    #[arg(long, requires = "yes")]
    all: bool,
    /// Yes, every one
    #[arg(long)]
    yes: bool,
}

pub async fn cancel(gateway: &Client, form: Form, args: &Cancel) -> Result<ExitStatus, Failure> {
    if args.ids.is_empty() {
        return matching(gateway, form, args).await;
    }
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
    let id = task_ids::resolve(gateway, given).await?;
    let state = gateway.cancel(&id, wait).await?.state;
    Ok((id, state))
}

async fn matching(gateway: &Client, form: Form, args: &Cancel) -> Result<ExitStatus, Failure> {
    let Cancel { ids: _, no_wait: _, queue, name, worker, waiting, status, array_id, all, yes: _ } = args;
    let filters = [queue, name, worker].into_iter().any(|text| !text.is_empty()) || !status.is_empty();
    if !filters && array_id.is_none() && !all {
        return Err(Failure::usage(
            "name tasks by their ids, or say which: --queue, --name, --worker, --status, --array-id",
        ));
    }
    let array_id = match array_id {
        Some(given) => task_ids::resolve(gateway, given).await?,
        None => String::new(),
    };
    let request = v1::CancelTasksRequest {
        queue: queue.clone(),
        name: name.clone(),
        worker_id: worker.clone(),
        statuses: status.iter().map(|status| status.on_the_wire()).collect(),
        array_id,
        all: *all,
        waiting: *waiting,
    };
    let v1::CancelTasksResponse { cancelled, cancelling } = gateway.cancel_many(request).await?;
    match form {
        Form::Json => printer::json(&json!({"cancelled": cancelled, "cancelling": cancelling}))?,
        Form::Table => printer::line(&format!("{cancelled} cancelled, {cancelling} cancelling"))?,
    }
    Ok(ExitStatus::Success)
}
