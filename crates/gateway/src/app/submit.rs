//! Accepts tasks: one, or many at once.

use super::{App, reach};
use crate::call;
use domain::{Error, Kind, Result, limits};
use prost::Message as _;
use prost::bytes::Bytes;
use wire::v1::{SubmitEntry, SubmitTasksRequest, SubmitTasksResponse, TaskAccepted, TaskSpec};

/// A batch from which on answers don't say why each task waits, and of which the scheduler alone reads the specs: either
/// would cost more than the rest of the submit.
const BRIEF_FROM: usize = 100;
/// Bytes from which on a task travels alone: others need not wait until all its entries are sent.
const ALONE_FROM: usize = 256 * 1024;
/// Bytes of one task: what goes on to the scheduler is a little larger than what came in.
const TASK_BYTES: usize = limits::MESSAGE_BYTES - 64 * 1024;

impl App {
    pub(crate) async fn submit(&self, spec: TaskSpec) -> Result<TaskAccepted> {
        let (entry, bytes) = self.checked(spec)?;
        let accepted = if bytes < ALONE_FROM {
            self.submitter.submit(entry).await?
        } else {
            self.submit_alone(entry, bytes).await?
        };
        submitted(&accepted);
        Ok(accepted)
    }

    /// What goes on to the scheduler of a task that may be submitted, and its bytes.
    pub(super) fn checked(&self, mut spec: TaskSpec) -> Result<(SubmitEntry, usize)> {
        if let Some(place) = service::trace::current() {
            spec.traceparent = place.to_string();
            spec.tracestate = service::trace::state();
        }
        let bytes = spec.encoded_len();
        if bytes > TASK_BYTES {
            return Err(Error::new(Kind::Invalid, format!("the task is over {TASK_BYTES} bytes in all")));
        }
        reach::may_submit(&spec)?;
        let packed = wire::pack(&spec);
        wire::check_spec(spec)?;
        Ok((self.entry(packed)?, bytes))
    }

    async fn submit_alone(&self, entry: SubmitEntry, bytes: usize) -> Result<TaskAccepted> {
        let _room = self.submitter.room(bytes)?;
        self.upstream.submit_one(entry, self.patience.is_worthwhile(), &self.ids).await
    }

    pub(crate) async fn submit_many(&self, request: SubmitTasksRequest) -> Result<SubmitTasksResponse> {
        let specs = request.tasks;
        if specs.is_empty() {
            return Err(Error::field("tasks", "must not be empty"));
        }
        if specs.len() > limits::BATCH_TASKS {
            return Err(Error::field("tasks", format!("has over {} entries", limits::BATCH_TASKS)));
        }
        let bytes: usize = specs.iter().map(Bytes::len).sum();
        if bytes > limits::BATCH_BYTES {
            return Err(Error::field("tasks", format!("is over {} bytes in all", limits::BATCH_BYTES)));
        }
        // A large batch is checked once, by the scheduler: to read it here as well would cost as much as all the rest.
        let brief = specs.len() >= BRIEF_FROM;
        let entries = (0..).zip(specs).map(|(i, spec)| {
            if !brief {
                check(&spec).map_err(|error| error.within(&format!("tasks[{i}]")))?;
            }
            self.entry(spec)
        });
        let mut entries: Vec<_> = entries.collect::<Result<_>>()?;
        if let Some(place) = service::trace::current() {
            let state = service::trace::state();
            for spec in entries.iter_mut().filter_map(|entry| entry.spec.as_mut()) {
                *spec = wire::traced(spec, place, state.clone());
            }
        }
        let first = entries.first().map(|entry| entry.task_id.clone());
        let tasks = self.upstream.submit(entries, brief, self.patience.is_worthwhile(), &self.ids).await?;
        count(tasks.len());
        tracing::info!(count = tasks.len(), first_task_id = first, "Tasks submitted");
        Ok(SubmitTasksResponse { tasks })
    }

    /// Gives a spec an id. What travels on is what the client said.
    fn entry(&self, spec: Bytes) -> Result<SubmitEntry> {
        let id = self.ids.draw()?;
        Ok(SubmitEntry { task_id: id.to_string(), spec: Some(spec), caller: call::caller() })
    }
}

/// Counts and logs a task.
pub(super) fn submitted(accepted: &TaskAccepted) {
    count(1);
    tracing::info!(task_id = accepted.task_id, "Task submitted");
}

fn check(spec: &Bytes) -> Result<()> {
    let spec = wire::unpack(spec.clone())?;
    reach::may_submit(&spec)?;
    wire::check_spec(spec)
}

fn count(tasks: usize) {
    metrics::counter!("baton_gateway_tasks_submitted_total").increment(tasks as u64);
}
