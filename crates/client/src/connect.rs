//! The connection to a gateway.

use crate::{Error, Result, receipt::Receipts};
use domain::limits;
use std::{sync::Arc, time::Duration};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use wire::v1::gateway_client::GatewayClient;

/// Where a gateway listens if nothing else is said.
pub const GATEWAY_DEFAULT: &str = "http://127.0.0.1:50051";

/// A gateway that doesn't accept within this is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection on which the gateway doesn't answer a ping within [`PING_TIMEOUT`] is dropped.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What one stream may have on the way: some frames of output.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// What all together may have: so much that a stream nobody reads doesn't stop the others.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;
/// How long streams look for a gateway that went away: an upgrade or a restart takes less.
const PATIENCE: Duration = Duration::from_secs(300);

/// A gateway. Cheap to clone; clones share one connection, which is made when first needed and again whenever needed.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) url: Arc<str>,
    pub(crate) gateway: GatewayClient<InterceptedService<Channel, Receipts>>,
    pub(crate) receipts: Receipts,
    pub(crate) patience: Duration,
}

impl Client {
    /// Takes the address of a gateway, such as [`GATEWAY_DEFAULT`]. Nothing is sent yet. Needs a tokio runtime. Calls are
    /// part of the trace that the environment names in TRACEPARENT: in a task, that of the task.
    ///
    /// # Errors
    /// [`domain::Kind::Invalid`] if `url` is none.
    pub fn connect(url: &str) -> Result<Self> {
        let wrong = |why: &str| Error::Answer(domain::Error::field("gateway", format!("{url} {why}")));
        if !url.starts_with("http://") {
            return Err(wrong("does not begin with http://"));
        }
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| wrong(&format!("is not a URL: {error}")))?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let receipts = Receipts::new(std::env::var("TRACEPARENT").ok(), std::env::var("TRACESTATE").ok());
        let gateway = GatewayClient::with_interceptor(endpoint.connect_lazy(), receipts.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES);
        Ok(Self { url: url.into(), gateway, receipts, patience: PATIENCE })
    }

    /// How long [`Self::watch`] and [`Self::output`], once open, look for a gateway that went away; 5 min unless set.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The address it was given.
    pub fn url(&self) -> &str {
        &self.url
    }
}
