//! What the gateway can do: one verb, one file, the same for every surface.

mod cancel;
mod cancel_many;
mod coalesce;
mod drain;
mod explain;
mod forget;
mod get;
mod health;
mod ids;
mod list;
mod output;
mod patience;
mod pause;
mod queues;
mod reach;
mod resolve;
mod retry;
mod run;
mod submit;
mod subscribe;
mod tokens;
mod watch;
mod workers;

use crate::upstream::Upstream;
use coalesce::{Submissions, Submitter};
use domain::Result;
use futures_util::stream::BoxStream;
pub(crate) use ids::Ids;
use patience::Patience;
use service::Readiness;
use std::sync::Arc;

/// A stream as handlers pass it on.
pub(crate) type Answers<T> = BoxStream<'static, Result<T>>;

/// Shared by all handlers.
#[derive(Debug)]
pub(crate) struct App {
    upstream: Upstream,
    readiness: Readiness,
    submitter: Submitter,
    ids: Arc<Ids>,
    patience: Patience,
}

impl App {
    /// The app, and the loop that its submits go through: it has to run.
    pub(crate) fn new(upstream: Upstream, readiness: Readiness) -> (Arc<Self>, Submissions) {
        metrics::describe_counter!("baton_gateway_tasks_submitted_total", "Tasks accepted through this gateway");
        metrics::counter!("baton_gateway_tasks_submitted_total").increment(0);
        let ids = Arc::<Ids>::default();
        let patience = Patience::new(readiness.clone());
        let (submitter, submissions) = coalesce::channel(patience.clone(), Arc::clone(&ids));
        (Arc::new(Self { upstream, readiness, submitter, ids, patience }), submissions)
    }
}
