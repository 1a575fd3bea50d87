//! Receipts: what this client was told last about a task's acceptance, sent with every later call, so that a server that
//! has lost it says so instead of answering from what is left.

use std::sync::{Arc, Mutex, PoisonError};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status, service::Interceptor};
use wire::v1::TaskAccepted;

/// The metadata's name.
const RECEIPT: &str = "baton-receipt";

/// The last one; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipts(Arc<Mutex<Option<MetadataValue<Ascii>>>>);

impl Receipts {
    /// Keeps the newest.
    pub fn keep(&self, accepted: &TaskAccepted) {
        // An older server gives none.
        if let Ok(receipt) = MetadataValue::try_from(accepted.receipt.as_str())
            && !accepted.receipt.is_empty()
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(receipt);
        }
    }
}

impl Interceptor for Receipts {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(receipt) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            request.metadata_mut().insert(RECEIPT, receipt.clone());
        }
        Ok(request)
    }
}
