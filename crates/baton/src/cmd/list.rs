//! `baton list`: tasks, newest first; an array is one line, with its members by state.

use crate::{
    escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, status::Status, task_ids, view,
    waiting::what_now,
};
use clap::Args;
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
    /// With --worker: also tasks that wait for it and were never on any
    #[arg(long, requires = "worker")]
    waiting: bool,
    /// Only tasks of exactly this name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Only tasks of this queue
    #[arg(long, default_value = "", hide_default_value = true)]
    queue: String,
    /// Members of this array, highest index first; without it an array is one line
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "queue"])]
    array: Option<String>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page_token: String,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub async fn list(gateway: &Client, form: Form, args: &List) -> Result<ExitStatus, Failure> {
    let (tasks, next) = pages(gateway, args).await?;
    match form {
        Form::Json => printer::json(&tasks.iter().map(view::task).collect::<Vec<_>>())?,
        Form::Table => {
            let head = ["TASK", "NAME", "STATE", "EXIT", "WORKER", "CREATED", "MESSAGE"];
            printer::table(&head, tasks.iter().map(row).collect())?;
        }
    }
    if !next.is_empty() {
        printer::note(&format!("note: there may be more: the same with --page-token {next}"));
    }
    Ok(ExitStatus::Success)
}

/// Tasks up to the limit or the end, and where the next ones begin: nothing at the end.
async fn pages(gateway: &Client, args: &List) -> Result<(Vec<v1::Task>, String), Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let array_id = match &args.array {
        Some(given) => task_ids::resolve(gateway, given).await?,
        None => String::new(),
    };
    let (mut tasks, mut page_token) = (Vec::new(), args.page_token.clone());
    loop {
        let size = PAGE.min(limit - tasks.len());
        let request = v1::ListTasksRequest {
            statuses: args.status.iter().map(|s| s.on_the_wire()).collect(),
            worker_id: args.worker.clone(),
            name: args.name.clone(),
            queue: args.queue.clone(),
            array_id: array_id.clone(),
            waiting: args.waiting,
            // At most PAGE.
            page_size: i32::try_from(size).unwrap_or(i32::MAX),
            page_token,
        };
        let page = gateway.list(request).await?;
        tasks.extend(page.tasks);
        // A page may be short, even empty, though more follow.
        if tasks.len() >= limit || page.next_page_token.is_empty() {
            return Ok((tasks, page.next_page_token));
        }
        page_token = page.next_page_token;
    }
}

fn row(task: &v1::Task) -> Vec<String> {
    let spec = task.spec.as_ref();
    vec![
        task.task_id.clone(),
        shown(spec.map_or("", |s| &s.name)),
        task.state.clone(),
        task.exit_code.map(|c| c.to_string()).unwrap_or_default(),
        shown(&task.worker_id),
        view::time(task.created_at_ms).unwrap_or_default(),
        what_now(task),
    ]
}
