//! One connection: encrypted or not, HTTP/1 or HTTP/2, within its limits, up to its end.

use crate::{
    Peer, PeerName, Stopping,
    bodies::{Bodies, Counted},
    guard::Guard,
    http,
    limits::{
        HANDSHAKE_WITHIN, HANDSHAKES, HEAD_BYTES, HEADER_BYTES, HEADER_LINES, HEADERS_WITHIN, PING_EVERY, PING_TIMEOUT,
        PROBE_AFTER, PROBE_EVERY, PROBES, RESETS_OF_OURS, RESETS_WAITING, SEND_BUFFER_BYTES, STREAMS,
    },
    peer,
    peers::Guest,
    plain,
    stop_body::StopBody,
    trace::{self, Tracer},
};
use ::tls::{Tls, TlsAcceptor, TlsStream};
use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustix::net::sockopt;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tower::Service as _;

/// What all connections of a port share.
pub(crate) struct Shared {
    pub router: Router,
    pub guard: Guard,
    pub stopping: Stopping,
    /// Ends what is still open at the end of a stop.
    pub abort: CancellationToken,
    pub tls: Tls,
    /// The turns of handshakes.
    pub handshakes: Semaphore,
    pub tracer: Tracer,
    pub front: bool,
    /// What clients are sending; other services are not counted, whose streams go on for ever.
    pub bodies: Arc<Bodies>,
}

impl Shared {
    pub fn new(router: Router, guard: Guard, stopping: Stopping, tls: Tls, tracer: Tracer, front: bool) -> Self {
        let (abort, handshakes) = (CancellationToken::new(), Semaphore::new(HANDSHAKES));
        Self { router, guard, stopping, abort, tls, handshakes, tracer, front, bodies: Arc::default() }
    }
}

/// Both ends of a connection.
struct Ends {
    local: SocketAddr,
    peer: Peer,
}

/// Serves a connection until it ends or has to.
pub(crate) async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    guest: Guest,
    _permit: OwnedSemaphorePermit,
) {
    let gauge = metrics::gauge!("baton_connections");
    gauge.increment(1.0);
    if let Err(error) = opened(stream, peer, &shared, Arc::new(guest)).await {
        tracing::debug!(%peer, error, "Connection ended");
    }
    gauge.decrement(1.0);
}

async fn opened(stream: TcpStream, addr: SocketAddr, shared: &Arc<Shared>, guest: Arc<Guest>) -> Result<(), String> {
    prepare(&stream).map_err(|error| error.to_string())?;
    let local = stream.local_addr().map_err(|error| error.to_string())?;
    let Some(acceptor) = shared.tls.acceptor() else {
        return talk(stream, Ends { local, peer: Peer { addr, tls: false, name: None, key: None } }, guest, shared)
            .await;
    };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_WITHIN, handshake(stream, acceptor, shared)) => shaken,
        () = shared.stopping.requested() => return Ok(()),
    };
    let Some(stream) = shaken.map_err(|_| "no TLS handshake in time")?? else { return Ok(()) };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let name = shown.and_then(|certificate| PeerName::of_certificate(certificate));
    let key = shown.and_then(|certificate| peer::key_of_certificate(certificate));
    talk(stream, Ends { local, peer: Peer { addr, tls: true, name, key } }, guest, shared).await
}

/// Small answers must not wait for acknowledgements (MEASURED: with it off, single calls don't finish), and nobody is
/// waited for who is gone.
fn prepare(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)
}

/// `None`: it said nothing, or it was answered without TLS.
async fn handshake(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    shared: &Shared,
) -> Result<Option<TlsStream<TcpStream>>, String> {
    let mut first = [0];
    // Who says nothing takes no turn from those who do.
    if stream.peek(&mut first).await.map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    // Never closed.
    let _turn = shared.handshakes.acquire().await.map_err(|error| error.to_string())?;
    if first != [plain::HANDSHAKE] {
        plain::answer(stream).await.map_err(|error| error.to_string())?;
        return Err("spoke without TLS".to_owned());
    }
    acceptor.accept(stream).await.map(Some).map_err(|error| format!("TLS: {error}"))
}

async fn talk<S>(stream: S, ends: Ends, guest: Arc<Guest>, shared: &Arc<Shared>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (ends, asking, with) = (Arc::new(ends), Arc::clone(&guest), Arc::clone(shared));
    let service = service_fn(move |request| answer(request, Arc::clone(&with), Arc::clone(&ends), Arc::clone(&asking)));
    let builder = builder();
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let first = tokio::time::sleep(HEADERS_WITHIN);
    tokio::pin!(first);
    let (mut graceful, mut waited) = (false, false);
    loop {
        tokio::select! {
            result = serving.as_mut() => return result.map_err(|error| error.to_string()),
            () = shared.abort.cancelled() => return Ok(()),
            () = shared.stopping.requested(), if !graceful => {
                graceful = true;
                serving.as_mut().graceful_shutdown();
            }
            () = &mut first, if !waited => {
                waited = true;
                if !guest.has_asked() {
                    return Err("asked nothing".into());
                }
            }
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADER_LINES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS_WAITING)
        .max_local_error_reset_streams(RESETS_OF_OURS)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEADER_BYTES);
    builder
}

async fn answer(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
    ends: Arc<Ends>,
    guest: Arc<Guest>,
) -> Result<Response<Body>, Infallible> {
    guest.asked();
    let (grpc, local) = (http::is_grpc(request.headers()), ends.local);
    let Some(call) = guest.call() else { return Ok(http::busy(grpc)) };
    if let Err((status, text)) = shared.guard.check(request.uri(), request.headers(), local.ip()) {
        return Ok(http::refuse(grpc, status, text));
    }
    request.extensions_mut().insert(TcpConnectInfo { local_addr: Some(local), remote_addr: Some(ends.peer.addr) });
    request.extensions_mut().insert(ends.peer.clone());
    let request = request.map(|body| {
        let body = Body::new(body);
        if shared.front { Body::new(Counted::new(body, Arc::clone(&shared.bodies))) } else { body }
    });
    let span = trace::answering(&shared.tracer, shared.front, &request);
    let place = span.as_ref().map(|span| span.context).or_else(|| trace::caller(request.headers()));
    let state = trace::caller_state(request.headers());
    let response = trace::scoped(place, state, shared.router.clone().call(request)).await?;
    if let Some(span) = span {
        span.answered(&shared.tracer, &response);
    }
    let stop = shared.stopping.token();
    Ok(response.map(|body| Body::new(StopBody::new(body, stop, grpc, call))))
}
