//! Spans of attempts, and what their processes find in TRACEPARENT.
//!
//! A span is sent at its end by the process that saw its beginning: of an attempt that outlives its worker's process
//! there is none, but its TRACEPARENT stays what it was.

use domain::{AttemptId, Exit, Run, Start, TraceContext, WorkerId};
use service::trace::{Kind, Span, Tracer};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Where a process finds its place.
const TRACEPARENT: &str = "TRACEPARENT";

/// The attempts under way whose spans will be sent: as many as run.
#[derive(Debug)]
pub(crate) struct Traced {
    tracer: Tracer,
    worker: WorkerId,
    under_way: BTreeMap<AttemptId, Place>,
}

#[derive(Debug)]
struct Place {
    context: TraceContext,
    parent: Option<[u8; 8]>,
}

impl Traced {
    pub fn new(tracer: Tracer, worker: WorkerId) -> Self {
        Self { tracer, worker, under_way: BTreeMap::new() }
    }

    /// An attempt begins: a command gets its place, unless whoever asked for it gave it one by hand.
    pub fn begin(&mut self, start: &mut Start) {
        let asked = start.spec.trace;
        let context = if self.tracer.records(asked.as_ref()) {
            let trace = asked.map_or_else(|| TraceContext::trace_of(start.attempt.task), |asked| asked.trace);
            let context = TraceContext { trace, ..Tracer::place(asked.as_ref()) };
            self.under_way.insert(start.attempt, Place { context, parent: asked.map(|asked| asked.span) });
            context
        } else {
            asked.unwrap_or_else(|| TraceContext::of(start.attempt))
        };
        if matches!(start.spec.run, Run::Shell(_))
            && let Run::Shell(shell) = &mut Arc::make_mut(&mut start.spec).run
        {
            shell.env.entry(TRACEPARENT.into()).or_insert_with(|| context.to_string());
        }
    }

    /// It is over, after so many microseconds.
    pub fn end(&mut self, attempt: AttemptId, exit: &Exit, run_us: u64) {
        let Some(Place { context, parent }) = self.under_way.remove(&attempt) else { return };
        let ended = SystemTime::now();
        self.tracer.record(Span {
            name: "task.run".into(),
            kind: Kind::Consumer,
            context,
            parent,
            began: ended.checked_sub(Duration::from_micros(run_us)).unwrap_or(ended),
            ended,
            attributes: vec![
                ("baton.task_id", attempt.task.to_string()),
                ("baton.attempt", attempt.no.to_string()),
                ("baton.worker_id", self.worker.as_str().to_owned()),
                ("baton.exit", exit.text()),
            ],
            error: (!exit.success()).then(|| exit.text()),
        });
    }

    /// It is over, and nobody saw how.
    pub fn forget(&mut self, attempt: AttemptId) {
        self.under_way.remove(&attempt);
    }
}
