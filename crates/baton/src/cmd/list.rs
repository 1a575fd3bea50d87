//! `baton list`: tasks, newest first.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, view};
use clap::{Args, ValueEnum};
use client::Client;
use wire::v1;

/// The most tasks asked for in one call.
const PAGE: usize = domain::limits::PAGE_TASKS;

#[derive(Args)]
pub struct List {
    /// Only tasks in this state; may be repeated
    #[arg(long, value_enum)]
    status: Vec<Status>,
    /// Only tasks last on this worker
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    worker: String,
    /// Only tasks of exactly this name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Only tasks of this queue
    #[arg(long, default_value = "", hide_default_value = true)]
    queue: String,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// States as they can be asked for.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Status {
    Pending,
    Dispatched,
    Running,
    Completed,
    Failed,
    TimedOut,
    Cancelled,
}

impl Status {
    fn on_the_wire(self) -> v1::TaskStatus {
        match self {
            Self::Pending => v1::TaskStatus::Pending,
            Self::Dispatched => v1::TaskStatus::Dispatched,
            Self::Running => v1::TaskStatus::Running,
            Self::Completed => v1::TaskStatus::Completed,
            Self::Failed => v1::TaskStatus::Failed,
            Self::TimedOut => v1::TaskStatus::TimedOut,
            Self::Cancelled => v1::TaskStatus::Cancelled,
        }
    }
}

pub async fn list(gateway: &Client, form: Form, args: &List) -> Result<ExitStatus, Failure> {
    let tasks = pages(gateway, args).await?;
    match form {
        Form::Json => printer::json(&tasks.iter().map(view::task).collect::<Vec<_>>())?,
        Form::Table => {
            let head = ["TASK", "NAME", "STATE", "EXIT", "WORKER", "CREATED", "MESSAGE"];
            printer::table(&head, tasks.iter().map(row).collect())?;
        }
    }
    Ok(ExitStatus::Success)
}

async fn pages(gateway: &Client, args: &List) -> Result<Vec<v1::Task>, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (mut tasks, mut page_token) = (Vec::new(), String::new());
    loop {
        let size = PAGE.min(limit - tasks.len());
        let request = v1::ListTasksRequest {
            statuses: args.status.iter().map(|s| s.on_the_wire().into()).collect(),
            worker_id: args.worker.clone(),
            name: args.name.clone(),
            queue: args.queue.clone(),
            // At most PAGE.
            page_size: i32::try_from(size).unwrap_or(i32::MAX),
            page_token,
        };
        let page = gateway.list(request).await?;
        tasks.extend(page.tasks);
        if tasks.len() >= limit || page.next_page_token.is_empty() {
            return Ok(tasks);
        }
        page_token = page.next_page_token;
    }
}

fn row(task: &v1::Task) -> Vec<String> {
    let spec = task.spec.as_ref();
    let why = task.waiting_for.first().map_or(&task.message, |w| &w.text);
    vec![
        task.task_id.clone(),
        shown(spec.map_or("", |s| &s.name)),
        task.state.clone(),
        task.exit_code.map(|c| c.to_string()).unwrap_or_default(),
        shown(&task.worker_id),
        view::time(task.created_at_ms).unwrap_or_default(),
        shown(why),
    ]
}
