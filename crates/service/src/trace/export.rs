//! The way to the collector: batches of spans, one at a time; what can't be sent in time is dropped and counted.

use super::{DROPPED, EXPORTED, Kind, Span};
use crate::Fatal;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// Spans in one call to the collector.
const BATCH: usize = 512;
/// A span waits so long at most for others to travel with.
const GATHER: Duration = Duration::from_millis(500);
/// A collector that doesn't take a batch within this has not taken it.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// At the end of the service, what is left gets so long.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Sends spans until it is dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    spans: mpsc::Receiver<Span>,
    otlp: SpanExporter,
    scope: InstrumentationScope,
    /// Whether the last batch was lost: said once.
    trouble: bool,
}

impl Exporter {
    pub fn new(service: &str, endpoint: &str, spans: mpsc::Receiver<Span>) -> Result<Self, Fatal> {
        let wrong = |why: &str| {
            Fatal::new(format!("--otlp-endpoint {endpoint}: {why}"))
                .hint("use a URL such as http://127.0.0.1:4317 (OTLP over gRPC)")
        };
        if !endpoint.starts_with("http://") {
            return Err(wrong("is not a URL that begins with http://"));
        }
        let otlp = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(CALL_WITHIN).build();
        let mut otlp = otlp.map_err(|error| wrong(&error.to_string()))?;
        otlp.set_resource(&resource(service));
        let scope = InstrumentationScope::builder("baton").with_version(crate::VERSION).build();
        Ok(Self { spans, otlp, scope, trouble: false })
    }

    /// Sends what comes.
    pub async fn run(&mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if self.spans.recv_many(&mut batch, BATCH).await == 0 {
                return std::future::pending().await;
            }
            if batch.len() < BATCH {
                sleep(GATHER).await;
            }
            self.gather(&mut batch);
            self.send(&mut batch, CALL_WITHIN).await;
        }
    }

    /// Sends what is left.
    pub async fn finish(mut self) {
        let mut batch = Vec::new();
        let all = async {
            loop {
                self.gather(&mut batch);
                if batch.is_empty() {
                    return;
                }
                self.send(&mut batch, LAST_WITHIN).await;
            }
        };
        // Whatever doesn't get there within this is gone with the process.
        let _ = timeout(LAST_WITHIN, all).await;
    }

    /// Takes what is there already.
    fn gather(&mut self, batch: &mut Vec<Span>) {
        while batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
    }

    async fn send(&mut self, batch: &mut Vec<Span>, within: Duration) {
        let count = batch.len() as u64;
        let spans = batch.drain(..).map(|span| data(span, &self.scope)).collect();
        match timeout(within, self.otlp.export(spans)).await {
            Ok(Ok(())) => {
                metrics::counter!(EXPORTED).increment(count);
                self.trouble = false;
            }
            failed @ (Ok(Err(_)) | Err(_)) => {
                metrics::counter!(DROPPED).increment(count);
                if !std::mem::replace(&mut self.trouble, true) {
                    let error = failed.map_or_else(
                        |_| "no answer in time".into(),
                        |e| e.map_or_else(|e| e.to_string(), |()| String::new()),
                    );
                    tracing::warn!(error, "Spans are dropped: the collector does not take them");
                }
            }
        }
    }
}

fn resource(service: &str) -> Resource {
    let name = format!("baton-{}", service.to_lowercase());
    let version = KeyValue::new("service.version", crate::VERSION);
    Resource::builder_empty().with_service_name(name).with_attribute(version).build()
}

fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let Span { name, kind, context, parent, began, ended, attributes, error } = span;
    let ids = (TraceId::from_bytes(context.trace), SpanId::from_bytes(context.span));
    let flags = TraceFlags::new(context.flags);
    SpanData {
        span_context: SpanContext::new(ids.0, ids.1, flags, false, TraceState::default()),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        // Each of ours hangs on somebody else's, or on one of another process.
        parent_span_is_remote: parent.is_some(),
        span_kind: match kind {
            Kind::Server => SpanKind::Server,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Internal => SpanKind::Internal,
        },
        name,
        start_time: began,
        end_time: ended.max(began),
        attributes: attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: error.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}
