//! Receipts: what a client was told once travels with its later calls, through the gateway, to the scheduler, which knows
//! whether its store still has that (GUARANTEES G12).
//!
//! Must never be looked into here: a receipt is opaque to all but the scheduler.

use std::task::{Context, Poll};
use tokio::task::futures::TaskLocalFuture;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status, server::NamedService, service::Interceptor};

/// The name of the metadata, and of the header.
pub(crate) const RECEIPT: &str = "baton-receipt";

/// The metadata that says where a call stands in a trace.
const TRACEPARENT: &str = "traceparent";

type Receipt = Option<MetadataValue<Ascii>>;

tokio::task_local! {
    /// That of the call being answered.
    static CURRENT: Receipt;
}

/// Keeps a call's receipt while the call is answered.
#[derive(Clone, Debug)]
pub(crate) struct Keeping<S>(pub S);

impl<S: NamedService> NamedService for Keeping<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> tower::Service<http::Request<B>> for Keeping<S>
where
    S: tower::Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Receipt, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let receipt = request.headers().get(RECEIPT).and_then(|value| MetadataValue::try_from(value.as_bytes()).ok());
        CURRENT.scope(receipt, self.0.call(request))
    }
}

/// Passes it on to the scheduler, with the place in the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassOn;

impl Interceptor for PassOn {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // Calls of the gateway's own are on nobody's behalf.
        if let Ok(Some(receipt)) = CURRENT.try_with(Clone::clone) {
            request.metadata_mut().insert(RECEIPT, receipt);
        }
        if let Some(place) = service::trace::current()
            && let Ok(place) = place.to_string().parse()
        {
            request.metadata_mut().insert(TRACEPARENT, place);
        }
        Ok(request)
    }
}
