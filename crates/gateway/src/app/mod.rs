//! What the gateway can do: one verb, one file, the same for every surface.

mod cancel;
mod coalesce;
mod get;
mod health;
mod ids;
mod list;
mod output;
mod resolve;
mod submit;
mod subscribe;
mod watch;
mod workers;

use crate::upstream::Upstream;
use coalesce::{Submissions, Submitter};
use domain::Result;
use futures_util::stream::BoxStream;
use ids::Ids;
use service::Readiness;
use std::sync::{Arc, Mutex};

/// A stream as handlers pass it on.
pub(crate) type Answers<T> = BoxStream<'static, Result<T>>;

/// Shared by all handlers.
#[derive(Debug)]
pub(crate) struct App {
    upstream: Upstream,
    readiness: Readiness,
    submitter: Submitter,
    /// Held for nanoseconds: ids are drawn, nothing is waited for.
    ids: Mutex<Ids>,
}

impl App {
    /// The app, and the loop that its submits go through: it has to run.
    pub(crate) fn new(upstream: Upstream, readiness: Readiness) -> (Arc<Self>, Submissions) {
        let (submitter, submissions) = coalesce::channel(readiness.clone());
        (Arc::new(Self { upstream, readiness, submitter, ids: Mutex::default() }), submissions)
    }
}
