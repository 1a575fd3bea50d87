//! A bound port: refused with a reason, or held until it is served.

use crate::{
    Fatal, Options, Readiness,
    auth::Gate,
    guard::Guard,
    metrics,
    trace::{Exporter, Tracer},
};
use std::{io, net::SocketAddr};
use tls::Tls;
use tokio::net::TcpListener;

/// So many ports are tried when no particular one was asked for: that many workers on one machine.
const PORTS_TRIED: u16 = 200;

/// A service that holds its port and doesn't answer yet.
#[derive(Debug)]
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) listener: TcpListener,
    pub(crate) addr: SocketAddr,
    pub(crate) guard: Guard,
    pub(crate) readiness: Readiness,
    pub(crate) stop_timeout: std::time::Duration,
    /// It prints that it listens; a second port of the same service doesn't.
    pub(crate) prints: bool,
    pub(crate) tls: Tls,
    pub(crate) tracer: Tracer,
    pub(crate) exporter: Option<Exporter>,
    /// Whether traces begin here.
    pub(crate) front: bool,
    /// Who may call.
    pub(crate) gate: Gate,
}

impl Service {
    /// Takes the port. `name` is what the printed lines begin with: `Gateway`. If the address was not `asked` for, a taken
    /// port leads to the next free one. Port 0 takes any. With a certificate in `tls` connections are taken over TLS only.
    /// `asks`: callers have to say who they are, or can't have anything run; beyond loopback it takes both.
    ///
    /// # Errors
    /// [`Fatal`], with a hint, if the port is taken or may not be listened on.
    pub async fn listen(
        name: &'static str,
        addr: SocketAddr,
        asked: bool,
        options: &Options,
        tls: &Tls,
        asks: bool,
    ) -> Result<Self, Fatal> {
        may_listen(addr, options.insecure, tls.serves(), asks)?;
        let (listener, addr) = take(addr, asked, "--listen").await?;
        // From here on everything that is counted counts.
        metrics::handle();
        let guard = Guard::new(addr, &options.public_host, &options.allow_origin);
        let stop_timeout = options.stop_timeout;
        let (tracer, exporter) = Tracer::new(name, options)?;
        let (readiness, prints, front, tls) = (Readiness::default(), true, false, tls.clone());
        readiness.listens("grpc", addr);
        let gate = Gate::default();
        Ok(Self { name, listener, addr, guard, readiness, stop_timeout, prints, tls, tracer, exporter, front, gate })
    }

    /// A second port of the same service, for HTTP: as ready as the first, with the same certificate, and silent. `flag` is
    /// what its address is chosen with.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub async fn beside(&self, addr: SocketAddr, flag: &str, options: &Options) -> Result<Self, Fatal> {
        may_listen(addr, options.insecure, self.tls.serves(), self.gate.is_on())?;
        let (listener, addr) = take(addr, true, flag).await?;
        let guard = Guard::new(addr, &options.public_host, &options.allow_origin);
        let (name, stop_timeout, readiness) = (self.name, self.stop_timeout, self.readiness());
        readiness.listens("http", addr);
        // The first port's exporter sends the spans of both.
        let (tracer, exporter, prints, front) = (self.tracer.clone(), None, false, self.front);
        let (tls, gate) = (self.tls.clone(), self.gate.clone());
        Ok(Self { name, listener, addr, guard, readiness, stop_timeout, prints, tls, tracer, exporter, front, gate })
    }

    /// Callers have to pass this gate; also those of further ports that are taken beside this one afterwards.
    #[must_use]
    pub fn gated(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Clients call here: a call without a trace begins one.
    #[must_use]
    pub fn front_door(self) -> Self {
        Self { front: true, ..self }
    }

    /// What records spans of this service.
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// The real address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it waits for: to be filled in by its parts.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
}

async fn take(addr: SocketAddr, asked: bool, flag: &str) -> Result<(TcpListener, SocketAddr), Fatal> {
    let listener = bind(addr, asked, flag).await?;
    let addr = listener.local_addr().map_err(|error| cannot(addr, flag, &error))?;
    Ok((listener, addr))
}

/// Beyond loopback, whoever reaches a port can have commands run, unless callers have to say who they are and nobody can
/// overhear it.
fn may_listen(addr: SocketAddr, insecure: bool, encrypted: bool, asks: bool) -> Result<(), Fatal> {
    if addr.ip().is_loopback() || insecure || (encrypted && asks) {
        return Ok(());
    }
    let hint = match (encrypted, asks) {
        (true, _) => {
            "TLS keeps others from listening in, and asks nobody who he is: add --auth tokens (a worker: --token-file), listen \
             on 127.0.0.1, or say --insecure if only those who may run commands reach this address"
        }
        (false, true) => {
            "who listens in has the tokens that are sent in the clear: add --tls-cert and --tls-key, listen on 127.0.0.1, or \
             say --insecure if the network is trusted"
        }
        (false, false) => {
            "listen on 127.0.0.1; or ask callers who they are (--auth tokens; a worker: --token-file) over TLS (--tls-cert, \
             --tls-key); or say --insecure if the network is trusted"
        }
    };
    Err(Fatal::new(format!("listening on {addr} would let anybody who reaches it run commands")).hint(hint))
}

async fn bind(first: SocketAddr, asked: bool, flag: &str) -> Result<TcpListener, Fatal> {
    let mut addr = first;
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let next = addr.port().checked_add(1).filter(|port| !asked && port - first.port() < PORTS_TRIED);
                let Some(port) = next else { return Err(taken(first, flag)) };
                addr.set_port(port);
            }
            Err(error) => return Err(cannot(addr, flag, &error)),
        }
    }
}

fn taken(addr: SocketAddr, flag: &str) -> Fatal {
    Fatal::new(format!("address {addr} is already in use"))
        .hint(format!("stop what listens there, or choose another with {flag} ADDR (port 0 takes any)"))
}

fn cannot(addr: SocketAddr, flag: &str, error: &io::Error) -> Fatal {
    Fatal::new(format!("cannot listen on {addr}: {error}")).hint(format!("choose another address with {flag} ADDR"))
}
