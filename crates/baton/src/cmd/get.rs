//! `baton get ID`: one task as it stands.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, on_lost, printer, printer::Form, task_ids, view};
use clap::Args;
use client::Client;
use wire::v1;

#[derive(Args)]
pub struct Get {
    /// Id of a task, `last`, or the beginning or end of an id; .INDEX behind it names a member of an array
    id: String,
}

pub async fn get(gateway: &Client, form: Form, args: &Get) -> Result<ExitStatus, Failure> {
    let id = task_ids::resolve(gateway, &args.id).await?;
    let task = gateway.get(&id).await?;
    match form {
        Form::Json => printer::json(&view::task(&task))?,
        Form::Table => printer::line(&sheet(&task).join("\n"))?,
    }
    Ok(ExitStatus::Success)
}

/// The lines of a task's sheet: only what there is to say.
fn sheet(task: &v1::Task) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{what:<10} {}", shown(&value)));
        }
    };
    say("task", task.task_id.clone());
    if let Some(spec) = &task.spec {
        say("name", spec.name.clone());
        say("runs", view::command(spec));
        say("queue", spec.queue.clone());
        say("on lost", on_lost::word(spec.on_lost));
    }
    say("retry of", task.retry_of.clone());
    say("entry", task.entry.clone().unwrap_or_default());
    say("state", task.state.clone());
    say("members", task.members.as_ref().map(view::counted).unwrap_or_default());
    for reason in &task.waiting_for {
        say("waits", format!("{} ({})", view::why(reason), reason.code));
    }
    say("message", task.message.clone());
    say("exit code", task.exit_code.map(|c| c.to_string()).unwrap_or_default());
    say("created", view::time(task.created_at_ms).unwrap_or_default());
    say("finished", view::time(task.finished_at_ms).unwrap_or_default());
    for attempt in &task.attempts {
        let outcome = if attempt.outcome.is_empty() { "under way" } else { &attempt.outcome };
        say("attempt", format!("{} on {}: {outcome}", attempt.number, attempt.worker_id));
    }
    say("result", String::from_utf8_lossy(&task.result).into_owned());
    lines
}
