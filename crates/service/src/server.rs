//! The accept loop: HTTP/1 and HTTP/2 on one port, bounded, ending gracefully.

use crate::{
    Api, Fatal, Service, Stopping,
    api::Health,
    connection::{Shared, connection},
    descriptors, http,
    limits::{ACCEPT_PAUSE, CONNECTIONS},
    metrics, peer,
    peers::Peers,
    trace::Exporter,
};
use ::tls::Tls;
use std::{io::Write as _, sync::Arc};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// A certificate that ends sooner than this is worth a warning at every start, and whenever it is read.
const SOON_SECONDS: i64 = 14 * 24 * 3_600;

impl Service {
    /// Answers until a stop is asked for, then lets calls end within half the stop timeout; the other half is for what the
    /// caller has to put away. Prints that it listens, unless it is a second port; see [`Self::say_stopped`] for the other
    /// line.
    ///
    /// # Errors
    /// [`Fatal`] if the descriptors given to `api` are broken.
    pub async fn serve(self, api: Api, stopping: &Stopping) -> Result<(), Fatal> {
        let Self { name, listener, addr, guard, readiness, stop_timeout, prints, tls, tracer, exporter, front, gate } =
            self;
        let (routes, health) = api.finish(&gate)?;
        let router = http::routes(routes, readiness.clone(), stopping.clone(), &gate);
        let shared = Arc::new(Shared::new(router, guard, stopping.clone(), tls.clone(), tracer, front));
        let (tracker, permits) =
            (TaskTracker::new(), Arc::new(Semaphore::new(descriptors::for_connections(CONNECTIONS))));
        let (peers, refused) = (Arc::new(Peers::default()), ::metrics::counter!(metrics::CONNECTIONS_REFUSED));
        if prints {
            say(&format!("{name} service listening on {addr}"));
        }
        let serving = async {
            let accept = async {
                loop {
                    // Never closed.
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                    match listener.accept().await {
                        Ok((stream, peer)) => match peers.admit(peer.ip()) {
                            Some(guest) => {
                                drop(tracker.spawn(connection(stream, peer, Arc::clone(&shared), guest, permit)))
                            }
                            None => refused.increment(1),
                        },
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
                () = follow(&tls, prints) => {}
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

/// Reads the certificate again when it changes, and says until when it is good: once for all ports of a service.
async fn follow(tls: &Tls, first: bool) {
    if !first {
        return std::future::pending().await;
    }
    say_validity(tls);
    tls.follow(|| say_validity(tls)).await;
}

fn say_validity(tls: &Tls) {
    let Some(until) = tls.certificate().and_then(|der| peer::valid_until(&der)) else { return };
    ::metrics::gauge!(metrics::VALID_UNTIL).set(until as f64);
    let now = jiff::Timestamp::now().as_second();
    if until < now + SOON_SECONDS {
        let until = jiff::Timestamp::from_second(until).map_or_else(|_| until.to_string(), |at| at.to_string());
        tracing::warn!(until, "The certificate of this service ends soon, or has ended: --tls-cert");
    }
}
