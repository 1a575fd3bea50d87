//! The way to the scheduler: connections that come back, errors that say who is away.

mod create;
mod resume;
mod run;
mod tokens;
mod watch;

use crate::call::PassOn;
use domain::{Error, Kind, Result, limits};
use service::{Bearer, Fatal};
use std::{sync::Arc, time::Duration};
use tls::Tls;
use tonic::{
    Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use wire::v1::scheduler_client::SchedulerClient;

/// A scheduler that doesn't accept within this is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A call that gets no answer within this has failed: a cancel may wait 10 s, a commit on a slow disk takes less.
const CALL_WITHIN: Duration = Duration::from_secs(20);
/// As long for a call on any number of tasks: a million are cancelled in seconds. A scheduler that dies is noticed before.
const MANY_WITHIN: Duration = Duration::from_secs(600);
/// A connection on which the scheduler doesn't answer a ping within [`PING_TIMEOUT`] is dropped.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// What one stream may have on the way: a frame. A reader that never reads holds back no more than this …
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// … of what all together may have: 4,096 such readers, so that they don't stop the others on the same connection.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// A client of it, which passes receipts on.
pub(crate) type Scheduler = SchedulerClient<InterceptedService<Channel, PassOn>>;

/// The scheduler, as the gateway sees it. Streams have a connection of their own: thousands of them must not stand
/// before a submit.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    url: Arc<str>,
    calls: Scheduler,
    streams: Scheduler,
    bearer: Bearer,
    told: tokens::Told,
}

impl Upstream {
    /// Connects when first needed, and again whenever needed.
    pub(crate) fn new(url: &str, tls: &Tls, bearer: Bearer) -> Result<Self, Fatal> {
        let wrong = |why: &str| {
            Fatal::new(format!("--scheduler {url}: {why}")).hint("use a URL such as http://127.0.0.1:50052")
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(wrong("is not a URL that begins with http:// or https://"));
        }
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| wrong(&error.to_string()))?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let client = |endpoint: &Endpoint| {
            SchedulerClient::with_interceptor(tls::lazy(endpoint, tls), PassOn(bearer.clone()))
                .max_decoding_message_size(limits::MESSAGE_BYTES)
                .max_encoding_message_size(limits::MESSAGE_BYTES)
        };
        let told = tokens::Told::default();
        Ok(Self { url: url.into(), calls: client(&endpoint), streams: client(&endpoint), bearer, told })
    }

    /// A client for calls that are answered once.
    pub(crate) fn calls(&self) -> Scheduler {
        self.calls.clone()
    }

    /// Waits for the answer to a call that changes nothing, or that may be repeated.
    pub(crate) async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T> {
        self.answer_within(CALL_WITHIN, call).await
    }

    /// As [`Self::answer`], of a call that takes time in proportion to the tasks that it finds.
    pub(crate) async fn answer_to_many<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T> {
        self.answer_within(MANY_WITHIN, call).await
    }

    async fn answer_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_) => Err(self.silent()),
        }
    }

    /// What a failed call means to our caller.
    pub(crate) fn error(&self, status: &Status) -> Error {
        if let Some(why) = tls::refused(status) {
            tracing::debug!(%status, "No TLS with the scheduler");
            return Error::unavailable(format!("no scheduler at {}: {why}", self.url));
        }
        if wire::unsent(status) {
            return self.away();
        }
        if wire::broken(status) {
            tracing::debug!(%status, "Call to the scheduler broke");
            return Error::unavailable(format!("the connection to the scheduler at {} broke", self.url));
        }
        let error = wire::error(status);
        if is_about_us(&error) {
            return Error::unavailable(format!(
                "the scheduler at {} does not let this gateway in: {}",
                self.url,
                error.text()
            ));
        }
        error
    }

    /// Nobody is there.
    pub(crate) fn away(&self) -> Error {
        Error::unavailable(format!("no scheduler at {}", self.url))
    }

    /// Somebody is there, but doesn't answer.
    pub(crate) fn silent(&self) -> Error {
        Error::unavailable(format!("the scheduler at {} does not answer", self.url))
    }
}

/// Whether the scheduler refused the gateway itself, of which its callers can't know anything. What callers may not do
/// is judged here, and nothing else is denied there.
fn is_about_us(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unauthenticated | Kind::Denied)
}
