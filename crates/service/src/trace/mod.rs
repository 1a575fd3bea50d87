//! Traces: spans of what this service did for somebody, sent as OTLP if `--otlp-endpoint` names a collector.
//!
//! Must never hold anybody up: a span that finds no room is dropped and counted. Off, it costs a comparison.

mod call;
mod export;

pub(crate) use call::{answering, caller, caller_state, scoped};
pub use call::{current, state};
pub(crate) use export::Exporter;

use crate::{Fatal, Options};
use domain::TraceContext;
use std::{borrow::Cow, fmt, time::SystemTime};
use tokio::sync::mpsc;

/// Spans that wait for the exporter: about 2 MiB. When it is full, further ones are dropped and counted.
const SPANS: usize = 4_096;
/// Spans that were dropped because the collector is away or too slow.
pub(crate) const DROPPED: &str = "baton_trace_spans_dropped_total";
/// Spans that a collector took.
pub(crate) const EXPORTED: &str = "baton_trace_spans_exported_total";

/// Records spans of one service; off unless a collector was named.
#[derive(Clone, Default)]
pub struct Tracer(Option<mpsc::Sender<Span>>);

/// Something that was done, once it is over.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// What, in few words; never an id.
    pub name: Cow<'static, str>,
    /// Who asked for it.
    pub kind: Kind,
    /// Its trace and its own id.
    pub context: TraceContext,
    /// The span it hangs on.
    pub parent: Option<[u8; 8]>,
    /// When it began.
    pub began: SystemTime,
    /// When it was over.
    pub ended: SystemTime,
    /// What is known of it.
    pub attributes: Vec<(&'static str, String)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Who asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A caller, who waits.
    Server,
    /// Somebody, some time ago.
    Consumer,
    /// Nobody else.
    Internal,
}

impl Tracer {
    /// The tracer, and what sends its spans, of a service that is called like this.
    ///
    /// # Errors
    /// [`Fatal`] if the endpoint is no URL that can be used.
    pub(crate) fn new(service: &str, options: &Options) -> Result<(Self, Option<Exporter>), Fatal> {
        metrics::describe_counter!(DROPPED, "Spans dropped: the collector is away or too slow");
        metrics::describe_counter!(EXPORTED, "Spans that the collector took");
        metrics::counter!(DROPPED).increment(0);
        metrics::counter!(EXPORTED).increment(0);
        let Some(endpoint) = options.otlp_endpoint.as_deref().filter(|url| !url.is_empty()) else {
            return Ok((Self::default(), None));
        };
        let (to, spans) = mpsc::channel(SPANS);
        Ok((Self(Some(to)), Some(Exporter::new(service, endpoint, spans)?)))
    }

    /// Whether a span under this parent would be sent. Without one a trace begins.
    pub fn records(&self, parent: Option<&TraceContext>) -> bool {
        self.0.is_some() && parent.is_none_or(TraceContext::is_sampled)
    }

    /// A new span's place under its parent, or at the beginning of a trace.
    pub fn place(parent: Option<&TraceContext>) -> TraceContext {
        match parent {
            Some(parent) => TraceContext { span: random(), ..*parent },
            None => TraceContext { trace: random(), span: random(), flags: 1 },
        }
    }

    /// Sends a span, if it is to be sent. Never waits.
    pub fn record(&self, span: Span) {
        let Some(to) = &self.0 else { return };
        if span.context.is_sampled() && to.try_send(span).is_err() {
            metrics::counter!(DROPPED).increment(1);
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.0.is_some()).finish()
    }
}

/// Not all 0.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness spans could not be told apart, but nothing else goes wrong.
    if getrandom::fill(&mut bytes).is_err() || bytes == [0; N] {
        bytes[N - 1] = 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stays_in_its_trace_and_is_somebody_else() {
        let root = Tracer::place(None);
        let child = Tracer::place(Some(&root));
        assert!(root.is_sampled() && child.is_sampled());
        assert_eq!(root.trace, child.trace);
        assert_ne!(root.span, child.span);
    }

    #[test]
    fn a_full_queue_drops_and_never_waits() {
        let (to, mut spans) = mpsc::channel(1);
        let tracer = Tracer(Some(to));
        let context = Tracer::place(None);
        let now = SystemTime::UNIX_EPOCH;
        let span = |name: &'static str| Span {
            name: name.into(),
            kind: Kind::Internal,
            context,
            parent: None,
            began: now,
            ended: now,
            attributes: Vec::new(),
            error: None,
        };
        tracer.record(span("first"));
        tracer.record(span("second"));
        tracer.record(Span { context: TraceContext { flags: 0, ..context }, ..span("unsampled") });
        assert_eq!(spans.try_recv().map(|span| span.name), Ok("first".into()));
        assert!(spans.try_recv().is_err());
    }
}
