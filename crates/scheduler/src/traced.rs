//! The scheduler's part of a task's trace: that it was accepted, and how long it waited.

use domain::{AttemptId, TaskId, TraceContext, UnixMillis};
use engine::Waited;
use service::trace::{Kind, Span, Tracer};
use std::time::{Duration, SystemTime};

/// Tasks were accepted, in a call that came at `began`.
pub(crate) fn accepted<'a>(
    tracer: &Tracer,
    began: SystemTime,
    tasks: impl Iterator<Item = (TaskId, Option<&'a TraceContext>)>,
) {
    let ended = SystemTime::now();
    for (task, asked) in tasks.filter(|(_, asked)| tracer.records(*asked)) {
        let attributes = vec![("baton.task_id", task.to_string())];
        record(tracer, "task.accept", Kind::Server, task, asked, (began, ended), attributes);
    }
}

/// Attempts started.
pub(crate) fn waited(tracer: &Tracer, all: &[Waited]) {
    for Waited { attempt: AttemptId { task, no }, spec, worker, since, until } in all {
        if tracer.records(spec.trace.as_ref()) {
            let attributes = vec![
                ("baton.task_id", task.to_string()),
                ("baton.attempt", no.to_string()),
                ("baton.worker_id", worker.as_str().to_owned()),
                ("baton.queue", spec.queue.clone()),
            ];
            let times = (time(*since), time(*until));
            record(tracer, "task.wait", Kind::Internal, *task, spec.trace.as_ref(), times, attributes);
        }
    }
}

fn record(
    tracer: &Tracer,
    name: &'static str,
    kind: Kind,
    task: TaskId,
    asked: Option<&TraceContext>,
    (began, ended): (SystemTime, SystemTime),
    attributes: Vec<(&'static str, String)>,
) {
    let trace = asked.map_or_else(|| TraceContext::trace_of(task), |asked| asked.trace);
    let context = TraceContext { trace, ..Tracer::place(asked) };
    let parent = asked.map(|asked| asked.span);
    tracer.record(Span { name: name.into(), kind, context, parent, began, ended, attributes, error: None });
}

fn time(at: UnixMillis) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}
