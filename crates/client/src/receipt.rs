//! Receipts: what this client was told last about a task's acceptance, sent with every later call, so that a server that
//! has lost it says so instead of answering from what is left.

use std::sync::{Arc, Mutex, PoisonError};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status, service::Interceptor};
use wire::v1::TaskAccepted;

/// The metadata's name.
const RECEIPT: &str = "baton-receipt";

/// The metadata that says where a call stands in a trace.
const TRACEPARENT: &str = "traceparent";
/// And what goes with that.
const TRACESTATE: &str = "tracestate";

/// The last one, which clones share; and the place in a trace that all calls are made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipts {
    last: Arc<Mutex<Option<MetadataValue<Ascii>>>>,
    place: Option<MetadataValue<Ascii>>,
    state: Option<MetadataValue<Ascii>>,
    token: Option<MetadataValue<Ascii>>,
}

/// What a call says to show who makes it; it is in no table of compressed headers and in no `Debug`.
pub(crate) fn bearer(token: &str) -> Option<MetadataValue<Ascii>> {
    let mut value = MetadataValue::try_from(format!("Bearer {}", token.trim())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Receipts {
    /// None yet. `place` is a `traceparent`, `state` the `tracestate` that goes with it; what is none is left out. `token` is
    /// what [`bearer`] gives.
    pub fn new(place: Option<String>, state: Option<String>, token: Option<MetadataValue<Ascii>>) -> Self {
        let metadata = |text: Option<String>| text.and_then(|text| MetadataValue::try_from(text).ok());
        let place = metadata(place);
        let state = metadata(state).filter(|_| place.is_some());
        Self { last: Arc::default(), place, state, token }
    }

    /// For another connection of the same caller: it has been told nothing yet.
    pub fn another(&self) -> Self {
        Self { last: Arc::default(), ..self.clone() }
    }

    /// Keeps the newest.
    pub fn keep(&self, accepted: &TaskAccepted) {
        // An older server gives none.
        if let Ok(receipt) = MetadataValue::try_from(accepted.receipt.as_str())
            && !accepted.receipt.is_empty()
        {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(receipt);
        }
    }
}

impl Interceptor for Receipts {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(receipt) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            request.metadata_mut().insert(RECEIPT, receipt.clone());
        }
        if let Some(place) = &self.place {
            request.metadata_mut().insert(TRACEPARENT, place.clone());
        }
        if let Some(state) = &self.state {
            request.metadata_mut().insert(TRACESTATE, state.clone());
        }
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}
