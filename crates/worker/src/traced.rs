//! Spans of attempts, and the places in traces that they are told: processes in TRACEPARENT, handlers by their context.
//!
//! A span is sent at its end by the process that saw its beginning: of an attempt that outlives its worker's process
//! there is none, but its TRACEPARENT stays what it was.

use domain::{AttemptId, Exit, Start, TraceContext, WorkerId};
use service::trace::{Kind, Span, Tracer};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Where a process finds its place.
const TRACEPARENT: &str = "TRACEPARENT";
/// And what goes with it.
const TRACESTATE: &str = "TRACESTATE";

/// An attempt's place in a trace, as it is told to what runs it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What its own spans hang on.
    pub context: TraceContext,
    /// The `tracestate` that its caller said, or empty.
    pub state: String,
}

impl Place {
    /// What its process finds, unless whoever asked for it gave it a place by hand.
    pub fn variables(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        if own.contains_key(TRACEPARENT) {
            return BTreeMap::new();
        }
        let state = Some(&self.state).filter(|state| !state.is_empty() && !own.contains_key(TRACESTATE));
        let both = [Some((TRACEPARENT, self.context.to_string())), state.map(|state| (TRACESTATE, state.clone()))];
        both.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The attempts under way whose spans will be sent: as many as run.
#[derive(Debug)]
pub(crate) struct Traced {
    tracer: Tracer,
    worker: WorkerId,
    under_way: BTreeMap<AttemptId, UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    context: TraceContext,
    parent: Option<[u8; 8]>,
}

impl Traced {
    pub fn new(tracer: Tracer, worker: WorkerId) -> Self {
        Self { tracer, worker, under_way: BTreeMap::new() }
    }

    /// An attempt begins, in this place.
    pub fn begin(&mut self, start: &Start) -> Place {
        let asked = start.spec.trace;
        let context = if self.tracer.records(asked.as_ref()) {
            let trace = asked.map_or_else(|| TraceContext::trace_of(start.attempt.task), |asked| asked.trace);
            let context = TraceContext { trace, ..Tracer::place(asked.as_ref()) };
            self.under_way.insert(start.attempt, UnderWay { context, parent: asked.map(|asked| asked.span) });
            context
        } else {
            asked.unwrap_or_else(|| TraceContext::of(start.attempt))
        };
        Place { context, state: start.spec.trace_state.clone() }
    }

    /// It is over, after so many microseconds.
    pub fn end(&mut self, attempt: AttemptId, exit: &Exit, run_us: u64) {
        let Some(UnderWay { context, parent }) = self.under_way.remove(&attempt) else { return };
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
