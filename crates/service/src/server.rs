//! The accept loop: HTTP/1 and HTTP/2 on one port, bounded, ending gracefully.

use crate::{
    Api, Fatal, Service, Stopping,
    api::Health,
    descriptors,
    guard::Guard,
    http, metrics,
    stop_body::StopBody,
    trace::{self, Exporter, Tracer},
};
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
use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::TcpConnectInfo;
use tower::Service as _;

/// Open connections, if there are descriptors for so many. When all are taken, new ones wait in the kernel's queue.
const CONNECTIONS: usize = 16_384;
/// Streams of one connection: a gateway carries all its watchers on one.
const STREAMS: u32 = 16_384;
/// A peer that doesn't answer a ping within [`PING_TIMEOUT`] is gone.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection has so long to ask something, and HTTP/1 to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Answers that a stream may have waiting for a slow reader; beyond it the sender waits.
const SEND_BUFFER_BYTES: usize = 512 * 1024;
/// Headers of one HTTP/2 request.
const HEADER_BYTES: u32 = 16 * 1024;
/// After an accept failed (too many descriptors), wait for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Service {
    /// Answers until a stop is asked for, then lets calls end within half the stop timeout; the other half is for what the
    /// caller has to put away. Prints that it listens, unless it is a second port; see [`Self::say_stopped`] for the other
    /// line.
    ///
    /// # Errors
    /// [`Fatal`] if the descriptors given to `api` are broken.
    pub async fn serve(self, api: Api, stopping: &Stopping) -> Result<(), Fatal> {
        let Self { name, listener, addr, guard, readiness, stop_timeout, prints, tracer, exporter, front } = self;
        let (routes, health) = api.finish()?;
        let router = http::routes(routes, readiness.clone(), stopping.clone());
        let (stop, abort) = (stopping.clone(), CancellationToken::new());
        let shared = Arc::new(Shared { router, guard, stopping: stop, abort, tracer, front });
        let (tracker, permits) =
            (TaskTracker::new(), Arc::new(Semaphore::new(descriptors::for_connections(CONNECTIONS))));
        if prints {
            say(&format!("{name} service listening on {addr}"));
        }
        let serving = async {
            let accept = async {
                loop {
                    // Never closed.
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                    match listener.accept().await {
                        Ok((stream, peer)) => {
                            drop(tracker.spawn(connection(stream, peer, Arc::clone(&shared), permit)))
                        }
                        Err(error) => {
                            tracing::warn!(%error, "Accept failed");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = accept => {}
                () = upkeep(health, &readiness) => {}
                () = stopping.requested() => {}
            }
            drop(listener);
            tracker.close();
            tokio::select! {
                () = tracker.wait() => {}
                () = stopping.hurried() => {}
                () = tokio::time::sleep(stop_timeout / 2) => tracing::warn!("Calls did not end in time"),
            }
            shared.abort.cancel();
            tracker.wait().await;
        };
        tracing_meanwhile(exporter, serving).await;
        Ok(())
    }

    /// Prints that the service has stopped: the last thing it does.
    pub fn say_stopped(name: &str) {
        say(&format!("{name} service stopped"));
    }
}

/// A closed stdout is no reason to end a service.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Sends spans as long as the service serves, and then what is left of them.
async fn tracing_meanwhile(exporter: Option<Exporter>, serving: impl Future<Output = ()>) {
    let Some(mut exporter) = exporter else { return serving.await };
    tokio::select! {
        () = serving => {}
        () = exporter.run() => {}
    }
    exporter.finish().await;
}

/// Keeps gRPC's health in step with readiness, and the histograms small.
async fn upkeep(health: Health, readiness: &crate::Readiness) {
    let mut changes = readiness.changes();
    let mut upkeep = tokio::time::interval(metrics::UPKEEP_EVERY);
    loop {
        let ready = changes.borrow_and_update().is_empty();
        health.set(ready).await;
        loop {
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => break,
                    // We hold a sender.
                    Err(_) => return,
                },
                _ = upkeep.tick() => metrics::handle().run_upkeep(),
            }
        }
    }
}

struct Shared {
    router: Router,
    guard: Guard,
    stopping: Stopping,
    /// Ends what is still open at the end of a stop.
    abort: CancellationToken,
    tracer: Tracer,
    front: bool,
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, _permit: OwnedSemaphorePermit) {
    let gauge = ::metrics::gauge!("baton_connections");
    gauge.increment(1.0);
    if let Err(error) = connected(stream, peer, &shared).await {
        tracing::debug!(%peer, error, "Connection ended");
    }
    gauge.decrement(1.0);
}

async fn connected(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) -> Result<(), String> {
    // Small answers must not wait for acknowledgements (MEASURED: with it off, single calls don't finish).
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let local = stream.local_addr().map_err(|error| error.to_string())?;
    let asked = Arc::new(AtomicBool::new(false));
    let (service_shared, service_asked) = (Arc::clone(shared), Arc::clone(&asked));
    let service = service_fn(move |request| {
        service_asked.store(true, Ordering::Relaxed);
        answer(request, Arc::clone(&service_shared), local, peer)
    });
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
                if !asked.load(Ordering::Relaxed) {
                    return Err("asked nothing".into());
                }
            }
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEADER_BYTES);
    builder
}

async fn answer(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<Response<Body>, Infallible> {
    let grpc = http::is_grpc(request.headers());
    if let Err((status, text)) = shared.guard.check(request.uri(), request.headers(), local.ip()) {
        return Ok(http::refuse(grpc, status, text));
    }
    request.extensions_mut().insert(TcpConnectInfo { local_addr: Some(local), remote_addr: Some(peer) });
    let request = request.map(Body::new);
    let span = trace::answering(&shared.tracer, shared.front, &request);
    let place = span.as_ref().map(|span| span.context).or_else(|| trace::caller(request.headers()));
    let state = trace::caller_state(request.headers());
    let response = trace::scoped(place, state, shared.router.clone().call(request)).await?;
    if let Some(span) = span {
        span.answered(&shared.tracer, &response);
    }
    let stop = shared.stopping.token();
    Ok(response.map(|body| Body::new(StopBody::new(body, stop, grpc))))
}
