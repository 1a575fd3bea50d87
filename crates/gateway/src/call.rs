//! What travels with a call through the gateway: who makes it, and the receipt of what he was told before, which only the
//! scheduler understands: it knows whether its store still has that (GUARANTEES G12).
//!
//! Must never be looked into here beyond the queue that a caller is limited to.

use service::{Bearer, Caller};
use std::task::{Context, Poll};
use tokio::task::futures::TaskLocalFuture;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status, server::NamedService, service::Interceptor};

/// The name of the metadata, and of the header.
pub(crate) const RECEIPT: &str = "baton-receipt";

/// The metadata that says for whom the gateway asks.
const CALLER: &str = "baton-caller";

/// The metadata that says where a call stands in a trace.
const TRACEPARENT: &str = "traceparent";

/// A call, while it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    receipt: Option<MetadataValue<Ascii>>,
    caller: Option<Caller>,
}

tokio::task_local! {
    /// The one being answered.
    static CURRENT: Call;
}

/// The queue that the caller is limited to.
pub(crate) fn queue() -> Option<String> {
    let queue = |call: &Call| call.caller.as_ref().and_then(Caller::queue).map(ToOwned::to_owned);
    CURRENT.try_with(queue).ok().flatten()
}

/// Who calls; empty if nobody had to say.
pub(crate) fn caller() -> String {
    let caller = |call: &Call| call.caller.as_ref().map(|caller| caller.text().to_owned());
    CURRENT.try_with(caller).ok().flatten().unwrap_or_default()
}

/// Keeps what travels with a call while the call is answered.
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
    type Future = TaskLocalFuture<Call, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let receipt = request.headers().get(RECEIPT).and_then(|value| MetadataValue::try_from(value.as_bytes()).ok());
        let caller = request.extensions().get::<Caller>().cloned();
        CURRENT.scope(Call { receipt, caller }, self.0.call(request))
    }
}

/// Passes it on to the scheduler, with the place in the trace, and says who the gateway is.
#[derive(Clone, Debug)]
pub(crate) struct PassOn(pub Bearer);

impl Interceptor for PassOn {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.0.add(&mut request);
        // Calls of the gateway's own are on nobody's behalf.
        if let Ok(Call { receipt, caller }) = CURRENT.try_with(Clone::clone) {
            if let Some(receipt) = receipt {
                request.metadata_mut().insert(RECEIPT, receipt);
            }
            if let Some(caller) = caller.and_then(|caller| caller.text().parse().ok()) {
                request.metadata_mut().insert(CALLER, caller);
            }
        }
        if let Some(place) = service::trace::current()
            && let Ok(place) = place.to_string().parse()
        {
            request.metadata_mut().insert(TRACEPARENT, place);
        }
        Ok(request)
    }
}
