//! The two streams to the scheduler, each on a connection of its own, each opened again when it breaks.
//!
//! Must never interpret what it carries.

mod backoff;

use backoff::Backoff;
use domain::limits;
use service::{Bearer, Fatal};
use std::time::Duration;
use tls::Tls;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Uri},
};
use wire::v1::{self, scheduler_client::SchedulerClient};

/// Messages on their way out. When full, they wait in the loop's own queue, which the session bounds.
const OUT: usize = 16;
/// Messages on their way in. When full, the stream isn't read, and HTTP/2 holds the scheduler back.
const IN: usize = 16;
/// A connection that isn't made by then is tried again.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that doesn't answer a ping for so long is gone; pings go so often.
const PING: Duration = Duration::from_secs(20);

/// What happens to a stream.
#[derive(Debug)]
pub(crate) enum Event<Out, In> {
    /// It is being opened: what is sent now is its beginning. `cut` ends it.
    Up { to: mpsc::Sender<Out>, cut: CancellationToken },
    /// A message came.
    Message(Box<In>),
    /// It ended or could not be opened: why, unless this side ended it. It is opened again after a while.
    Down(Option<String>),
}

/// The session's stream, as events.
pub(crate) type SessionEvents = mpsc::Receiver<Event<v1::WorkerResponse, v1::TaskAssignment>>;
/// The output stream, as events.
pub(crate) type OutputEvents = mpsc::Receiver<Event<v1::OutputFrames, v1::OutputAcks>>;

/// The scheduler's address, checked, and what this side shows of itself there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    endpoint: Endpoint,
    tls: Tls,
    bearer: Bearer,
}

/// A client of the scheduler, which says who the worker is.
pub(crate) type Scheduler = SchedulerClient<InterceptedService<Channel, Bearer>>;

impl Target {
    /// # Errors
    /// [`Fatal`] if it isn't a URL with `http://` or `https://`.
    pub fn parse(url: &str, tls: &Tls) -> Result<Self, Fatal> {
        let bad = || {
            Fatal::new(format!("--scheduler: {url} is not a URL such as http://127.0.0.1:50052"))
                .hint("the worker speaks HTTP/2 to its scheduler, over TLS if the URL begins with https://")
        };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(bad());
        }
        let endpoint = Endpoint::from(uri).connect_timeout(CONNECT_WITHIN).tcp_nodelay(true);
        let endpoint = endpoint.http2_keep_alive_interval(PING).keep_alive_timeout(PING).keep_alive_while_idle(true);
        Ok(Self { endpoint, tls: tls.clone(), bearer: Bearer::default() })
    }

    /// Its scheduler is told who calls.
    pub fn with(self, bearer: Bearer) -> Self {
        Self { bearer, ..self }
    }

    /// Whether the scheduler is on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.endpoint.uri().host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// A connection that is made now; why not.
    pub async fn connect(&self) -> Result<Scheduler, String> {
        let channel = tls::connect(&self.endpoint, &self.tls).await.map_err(|error| said_of(&error))?;
        // It may have been replaced since the last time.
        self.bearer.refresh();
        let client = SchedulerClient::with_interceptor(channel, self.bearer.clone());
        Ok(client.max_decoding_message_size(limits::MESSAGE_BYTES).max_encoding_message_size(limits::MESSAGE_BYTES))
    }
}

/// Keeps the session's stream open until nobody listens any more.
pub(crate) fn session(target: Target) -> (SessionEvents, impl Future<Output = ()>) {
    let (events, receiver) = mpsc::channel(IN);
    let call = async |mut client: Scheduler, out| client.register_worker(out).await;
    (receiver, keep_open(target, events, call))
}

/// Keeps the output stream open until nobody listens any more.
pub(crate) fn output(target: Target) -> (OutputEvents, impl Future<Output = ()>) {
    let (events, receiver) = mpsc::channel(IN);
    let call = async |mut client: Scheduler, out| client.stream_output(out).await;
    (receiver, keep_open(target, events, call))
}

async fn keep_open<Out, In>(
    target: Target,
    events: mpsc::Sender<Event<Out, In>>,
    call: impl AsyncFn(Scheduler, ReceiverStream<Out>) -> Result<tonic::Response<Streaming<In>>, Status>,
) {
    let mut backoff = Backoff::default();
    while !events.is_closed() {
        let mut answered = false;
        let why = once(&target, &events, &call, &mut answered).await;
        // A stream that carried something was no failure: the next one is tried soon, however often schedulers die.
        if answered {
            backoff = Backoff::default();
        }
        if events.send(Event::Down(why)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = events.closed() => return,
        }
    }
}

/// One life of a stream: why it ended, unless this side ended it. `answered`: the scheduler took the stream.
async fn once<Out, In>(
    target: &Target,
    events: &mpsc::Sender<Event<Out, In>>,
    call: &impl AsyncFn(Scheduler, ReceiverStream<Out>) -> Result<tonic::Response<Streaming<In>>, Status>,
    answered: &mut bool,
) -> Option<String> {
    let client = match target.connect().await {
        Ok(client) => client,
        Err(error) => return Some(error),
    };
    let (to, out) = mpsc::channel(OUT);
    let cut = CancellationToken::new();
    if events.send(Event::Up { to, cut: cut.clone() }).await.is_err() {
        return None;
    }
    let life = async {
        let mut messages = match call(client, ReceiverStream::new(out)).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Some(said(&status)),
        };
        loop {
            match messages.next().await {
                Some(Ok(message)) => {
                    *answered = true;
                    if events.send(Event::Message(Box::new(message))).await.is_err() {
                        return None;
                    }
                }
                Some(Err(status)) => return Some(said(&status)),
                None => return Some("the scheduler ended the stream".to_owned()),
            }
        }
    };
    tokio::select! {
        why = life => why,
        () = cut.cancelled() => None,
    }
}

/// What the scheduler said, or what broke.
pub(crate) fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => said_of(source),
        None if status.message().is_empty() => format!("{:?}", status.code()),
        None => status.message().to_owned(),
    }
}

/// What TLS has to say, or else the cause.
fn said_of(error: &(dyn std::error::Error + 'static)) -> String {
    tls::refused(error).unwrap_or_else(|| innermost(error))
}

/// The cause at the end of the chain says what happened; those before it say through whom it was learned.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_http_are_schedulers() {
        for (url, loopback) in [
            ("http://127.0.0.1:50052", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.1:50052", false),
            ("https://localhost:1", true),
            ("https://scheduler.example.org", false),
        ] {
            assert_eq!(Target::parse(url, &Tls::off()).unwrap().is_loopback(), loopback, "{url}");
        }
        for bad in ["", "127.0.0.1:50052", "ftp://x:1", "unix:/x", "http://"] {
            assert!(Target::parse(bad, &Tls::off()).is_err(), "{bad}");
        }
    }
}
