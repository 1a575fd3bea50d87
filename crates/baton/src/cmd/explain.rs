//! `baton explain ID`: why a task is not running, and what each worker misses for it.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, task_ids, view};
use clap::Args;
use client::Client;
use serde_json::json;
use wire::v1;

#[derive(Args)]
pub struct Explain {
    /// Id of a task, `last`, or the beginning or end of an id; .INDEX behind it names a member of an array
    id: String,
}

pub async fn explain(gateway: &Client, form: Form, args: &Explain) -> Result<ExitStatus, Failure> {
    let id = task_ids::resolve(gateway, &args.id).await?;
    let v1::ExplainTaskResponse { status: _, state, waiting_for, workers } = gateway.explain(&id).await?;
    match form {
        Form::Json => printer::json(&json!({
            "task_id": id, "state": state,
            "waiting_for": waiting_for.iter().map(view::reason).collect::<Vec<_>>(),
            "workers": workers.iter().map(view::fit).collect::<Vec<_>>(),
        }))?,
        Form::Table => {
            match waiting_for.as_slice() {
                [] => printer::line(&format!("{state}: it waits for nothing"))?,
                reasons => reasons.iter().try_for_each(|why| {
                    printer::line(&format!("{state}: {} ({})", shown(&view::why(why)), shown(&why.code)))
                })?,
            }
            if !workers.is_empty() {
                printer::line("")?;
                printer::table(&["WORKER", "FITS", "FREE", "MISSES"], workers.iter().map(row).collect())?;
            }
        }
    }
    Ok(ExitStatus::Success)
}

fn row(fit: &v1::WorkerFit) -> Vec<String> {
    let v1::WorkerFit { worker_id, missing, free } = fit;
    let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
    vec![shown(worker_id), yes(missing.is_empty()), yes(*free), shown(missing)]
}
