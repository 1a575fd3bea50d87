//! Submit: the ids come from the gateway, which checked the specs unless they are many; they are all checked here, because a
//! scheduler must not store what it could not have accepted.

use super::Door;
use crate::traced;
use domain::{Error, Result, TraceContext, limits};
use engine::{Accepted, NewTask};
use service::auth::Note;
use std::{sync::Arc, time::SystemTime};
use tonic::Extensions;
use wire::v1;

pub(super) async fn submit(door: &Door, request: v1::SubmitRequest) -> Result<Vec<v1::TaskAccepted>> {
    let v1::SubmitRequest { tasks, repeated_call, brief } = request;
    if tasks.len() > limits::BATCH_TASKS {
        return Err(Error::field("tasks", format!("has over {} entries", limits::BATCH_TASKS)));
    }
    // A call that may have been carried out before is looked up, not refused: it may be there.
    if !repeated_call {
        door.disk.check()?;
    }
    let read = (0..).zip(tasks).map(|(i, entry)| {
        // Of a large batch nobody has checked the specs before.
        new_task(entry).map_err(|error| if brief { error.within(&format!("tasks[{i}]")) } else { error })
    });
    let tasks = read.collect::<Result<Vec<_>>>()?;
    let began = SystemTime::now();
    let traces: Vec<Option<TraceContext>> = tasks.iter().map(|task| task.spec.trace).collect();
    let accepted = door.mailbox.submit(tasks, repeated_call, brief).await?;
    traced::accepted(&door.tracer, began, accepted.iter().map(|a| a.id).zip(traces.iter().map(Option::as_ref)));
    if let [only] = accepted.as_slice() {
        let trace_id = traces.first().copied().flatten().map(|trace| trace.trace_id());
        tracing::info!(task_id = %only.id, trace_id, "Task submitted");
    } else {
        tracing::info!(tasks = accepted.len(), "Tasks submitted");
    }
    let mut tasks: Vec<_> = accepted.iter().map(|accepted| v1_accepted(accepted, String::new())).collect();
    // One for all: they are in one commit.
    if let Some(last) = tasks.last_mut() {
        last.receipt = door.receipts.now();
    }
    Ok(tasks)
}

/// For the audit log: which tasks, and for whom.
pub(super) fn note(extensions: &Extensions, tasks: &[v1::SubmitEntry]) {
    if let Some(note) = extensions.get::<Note>() {
        let by = |caller: &str| (!caller.is_empty()).then(|| caller.to_owned());
        tasks.iter().for_each(|entry| note.add(entry.task_id.clone(), by(&entry.caller)));
    }
}

fn new_task(entry: v1::SubmitEntry) -> Result<NewTask> {
    // Checks the spec.
    let (id, spec, entries) = wire::submit_entry(entry)?;
    Ok(NewTask { id, spec: Arc::new(spec), entries, retry: None })
}

pub(super) fn v1_accepted(accepted: &Accepted, receipt: String) -> v1::TaskAccepted {
    let Accepted { id, at, waiting } = accepted;
    v1::TaskAccepted {
        task_id: id.to_string(),
        timestamp: at.0.div_euclid(1_000),
        state_reason: waiting.as_ref().map_or_else(String::new, |w| format!("{}: {}", w.code(), w.text())),
        receipt,
        timestamp_ms: at.0,
    }
}
