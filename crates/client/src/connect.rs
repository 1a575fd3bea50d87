//! The connection to a gateway.

use crate::{Error, Result, receipt::Receipts, receipt::bearer};
use domain::{Kind, limits};
use std::{path::Path, sync::Arc, time::Duration};
use tls::{Files, Tls};
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

/// What is known of a gateway, and of who calls it.
#[derive(Clone, Copy, Default)]
pub struct Access<'a> {
    /// At `https://` its certificate must be from the CA in this file (PEM), and no other; without, from one that this
    /// machine trusts.
    pub ca: Option<&'a Path>,
    /// Each call brings this token along.
    pub token: Option<&'a str>,
}

/// A gateway. Cheap to clone; clones share one connection, which is made when first needed and again whenever needed.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) url: Arc<str>,
    pub(crate) gateway: GatewayClient<InterceptedService<Channel, Receipts>>,
    pub(crate) receipts: Receipts,
    tls: Tls,
    pub(crate) patience: Duration,
}

impl Client {
    /// Takes the address of a gateway, such as [`GATEWAY_DEFAULT`]. Nothing is sent yet. Needs a tokio runtime. Calls are
    /// part of the trace that the environment names in TRACEPARENT: in a task, that of the task. A gateway at `https://`
    /// must have a certificate from a CA that this machine trusts.
    ///
    /// # Errors
    /// [`domain::Kind::Invalid`] if `url` is none.
    pub fn connect(url: &str) -> Result<Self> {
        Self::connect_as(url, Access::default())
    }

    /// As [`Self::connect`], with what else is known of the gateway and of the caller.
    ///
    /// # Errors
    /// [`domain::Kind::Invalid`] if `url` is none, the file holds no certificate, or the token can't be one.
    pub fn connect_as(url: &str, access: Access<'_>) -> Result<Self> {
        let Access { ca, token } = access;
        let tls = match ca {
            None => Tls::off(),
            Some(ca) => Tls::load(Files { ca: Some(ca.to_owned()), ca_flag: "ca", ..Files::default() })
                .map_err(|error| Error::Answer(domain::Error::new(Kind::Invalid, error.to_string())))?,
        };
        let env = |name| std::env::var(name).ok();
        let no_token = || Error::Answer(domain::Error::field("token", "contains what no token contains"));
        let token = token.map(|token| bearer(token).ok_or_else(no_token)).transpose()?;
        Self::over(url, tls, Receipts::new(env("TRACEPARENT"), env("TRACESTATE"), token))
    }

    /// Another connection to the same gateway, of whichever runtime this is called in.
    ///
    /// # Errors
    /// None: what was good for one is for another.
    pub fn another(&self) -> Result<Self> {
        Ok(Self { patience: self.patience, ..Self::over(&self.url, self.tls.clone(), self.receipts.another())? })
    }

    fn over(url: &str, tls: Tls, receipts: Receipts) -> Result<Self> {
        let wrong = |why: &str| Error::Answer(domain::Error::field("gateway", format!("{url} {why}")));
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(wrong("does not begin with http:// or https://"));
        }
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| wrong(&format!("is not a URL: {error}")))?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let gateway = GatewayClient::with_interceptor(tls::lazy(&endpoint, &tls), receipts.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES);
        Ok(Self { url: url.into(), gateway, receipts, tls, patience: PATIENCE })
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
