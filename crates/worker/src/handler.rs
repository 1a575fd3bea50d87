//! Handlers: code of this process that runs tasks by name. [`crate`] shows a whole program.
//!
//! A handler ends with its process: its attempts are lost when the worker is killed, and start anew elsewhere. What must
//! outlive the worker is a command (`--handler NAME=COMMAND`).

use domain::{AttemptId, Progress, TraceContext, limits};
use std::{collections::BTreeMap, pin::Pin, sync::Arc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a handler returns: the result's bytes (at most [`limits::RESULT_BYTES`]), or why it failed, for people.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// Runs the tasks of one name.
pub trait Handler: Send + Sync + 'static {
    /// The name: 1 to 200 characters. Tasks of this name come here.
    fn name(&self) -> &str;

    /// Runs one attempt. Polled on the worker's only thread, the first time at once: what takes long must be awaited or
    /// spawned elsewhere. `payload` is the task's or, of a member of an array without one, its entry. When the attempt is
    /// cancelled or out of time, [`HandlerContext::cancelled`] returns; the future is dropped if it isn't done the kill
    /// grace (`--kill-grace`) later. What it spawned elsewhere has to look for itself.
    fn run(&self, context: HandlerContext, payload: Vec<u8>) -> HandlerFuture;
}

/// What a handler knows of the attempt that it runs.
#[derive(Clone, Debug)]
pub struct HandlerContext {
    pub(crate) attempt: AttemptId,
    pub(crate) entry: Option<Arc<str>>,
    pub(crate) trace: TraceContext,
    pub(crate) state: String,
    pub(crate) cancel: CancellationToken,
    /// Bounded; what doesn't fit is dropped: only the latest progress counts.
    pub(crate) progress: mpsc::Sender<(AttemptId, Progress)>,
}

impl HandlerContext {
    /// The task's id; of an array's member `ARRAY.INDEX`.
    pub fn task_id(&self) -> String {
        self.attempt.task.to_string()
    }

    /// Which task, and which attempt of it.
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// The entry of an array's member; its index is in the task's id.
    pub fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    /// The attempt's place in a trace, as W3C's `traceparent`: for the calls that it makes, and in TRACEPARENT for the
    /// processes that it starts. There is always one.
    pub fn traceparent(&self) -> String {
        self.trace.to_string()
    }

    /// The `tracestate` that goes with it; empty if whoever asked for the task said none.
    pub fn tracestate(&self) -> &str {
        &self.state
    }

    /// Says how far the attempt is: 0 to 100 percent, and a message that is cut to 500 characters.
    pub fn progress(&self, percent: u8, message: &str) {
        let message = message.chars().take(limits::MESSAGE_CHARS).collect();
        let _ = self.progress.try_send((self.attempt, Progress { percent: percent.min(100), message }));
    }

    /// Returns when the attempt should end early.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether the attempt should end early.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// A set of handlers; of several with one name the last counts.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<String, Arc<dyn Handler>>);

impl Handlers {
    /// Adds one.
    #[must_use]
    pub fn with(mut self, handler: impl Handler) -> Self {
        self.0.insert(handler.name().to_owned(), Arc::new(handler));
        self
    }

    /// Adds a function: called with the attempt's context and the payload, its future gives the result's bytes, or why it
    /// failed, for people.
    #[must_use]
    pub fn with_fn<F, R>(self, name: &str, run: F) -> Self
    where
        F: Fn(HandlerContext, Vec<u8>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
    {
        self.with(Function { name: name.to_owned(), run })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Handler>> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A handler that is a function.
struct Function<F> {
    name: String,
    run: F,
}

impl<F, R> Handler for Function<F>
where
    F: Fn(HandlerContext, Vec<u8>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<u8>, String>> + Send + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }
    fn run(&self, context: HandlerContext, payload: Vec<u8>) -> HandlerFuture {
        Box::pin((self.run)(context, payload))
    }
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
