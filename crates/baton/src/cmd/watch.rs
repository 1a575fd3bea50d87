//! `baton watch ID`: the story of a task, as it happens, up to its end; of an array, how many of its members have ended.

use crate::{
    bar::Bar, escape::shown, exit::ExitStatus, failure::Failure, follow, printer, printer::Form, task_ids, view,
    waiting::look, when,
};
use clap::Args;
use client::Client;
use serde_json::json;
use std::{
    io::{self, IsTerminal},
    time::Duration,
};
use wire::v1::{self, TaskStatus, task_event::Event};

/// Between two looks at an array: often enough for eyes, seldom enough for logs.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct Watch {
    /// Id of a task, `last`, or the beginning or end of an id; .INDEX behind it names a member of an array
    id: String,
}

/// Exit code 0 if the task completed, else 1.
pub async fn watch(gateway: &Client, form: Form, args: &Watch) -> Result<ExitStatus, Failure> {
    let id = task_ids::resolve(gateway, &args.id).await?;
    let task = gateway.get(&id).await?;
    let status = if task.members.is_some() {
        watch_array(gateway, form, &id).await?
    } else {
        let show = |event: &v1::TaskEvent| match form {
            Form::Json => printer::json(&view::event(event)),
            Form::Table => printer::line(&told(event)),
        };
        follow::follow(gateway, &id, false, show).await?.status
    };
    Ok(if status == TaskStatus::Completed { ExitStatus::Success } else { ExitStatus::Error })
}

async fn watch_array(gateway: &Client, form: Form, id: &str) -> Result<TaskStatus, Failure> {
    if form == Form::Table && io::stdout().is_terminal() && io::stderr().is_terminal() {
        let mut bar = Bar::new();
        let task = look(gateway, id, LOOK_EVERY, |task| {
            bar.show(task.progress_percent, &counted(task));
            Ok(())
        })
        .await?;
        bar.end(task.progress_percent, &counted(&task));
        return Ok(task.status());
    }
    let mut last = None;
    let mut show = |task: &v1::Task| {
        // Only what has changed is worth a line.
        let seen = (task.state.clone(), task.members);
        if last.as_ref() == Some(&seen) {
            return Ok(());
        }
        last = Some(seen);
        match form {
            Form::Json => printer::json(&json!({
                "task_id": task.task_id, "at": view::time(when::now_ms()), "state": task.state,
                "progress": task.progress_percent, "members": task.members.as_ref().map(view::counts),
            }))?,
            Form::Table => {
                let time = view::time(when::now_ms()).unwrap_or_default();
                printer::line(&format!("{time}  {}: {}", task.state, counted(task)))?;
            }
        }
        Ok(())
    };
    let task = look(gateway, id, LINE_EVERY, &mut show).await?;
    show(&task)?;
    Ok(task.status())
}

fn counted(task: &v1::Task) -> String {
    task.members.as_ref().map(view::counted).unwrap_or_default()
}

/// An event on one line: time, attempt, what.
fn told(event: &v1::TaskEvent) -> String {
    let what = match &event.event {
        Some(Event::State(state)) if state.message.is_empty() || state.message == state.state => state.state.clone(),
        Some(Event::State(state)) => format!("{}: {}", state.state, state.message),
        Some(Event::Progress(progress)) => format!("{:>3} % {}", progress.percent, progress.message),
        Some(Event::Output(output)) => format!("{} bytes of {}", output.data.len(), view::stream(output.stream())),
        None => String::new(),
    };
    let time = view::time(event.at_ms).unwrap_or_default();
    format!("{time}  attempt {}  {}", event.attempt, shown(what.trim_end()))
}
