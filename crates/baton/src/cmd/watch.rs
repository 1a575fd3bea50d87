//! `baton watch ID`: the story of a task, as it happens, up to its end.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, follow, printer, printer::Form, view};
use clap::Args;
use client::Client;
use wire::v1::{self, task_event::Event};

#[derive(Args)]
pub struct Watch {
    /// Id of a task, `last`, or the beginning or end of an id
    id: String,
}

pub async fn watch(gateway: &Client, form: Form, args: &Watch) -> Result<ExitStatus, Failure> {
    let id = gateway.resolve(&args.id).await?;
    follow::follow(gateway, &id, false, |event| match form {
        Form::Json => printer::json(&view::event(event)),
        Form::Table => printer::line(&told(event)),
    })
    .await?;
    Ok(ExitStatus::Success)
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
