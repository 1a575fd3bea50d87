//! The gateway: the only door for clients. It checks, draws ids, and passes on to the scheduler.
//!
//! Must never hold state that a second gateway beside it would miss, and never touch a store.

mod app;
mod call;
mod compat;
mod grpc;
mod http;
mod options;
mod scopes;
mod upstream;

pub use http::openapi;
pub use options::Options;
pub use scopes::{HTTP_SCOPES, RPC_SCOPES};

use app::App;
use domain::limits;
use service::{
    Api, AuthMode, Bearer, Fatal, Gate, Service, Stopping,
    auth::{self, Audit},
};
use std::{net::SocketAddr, sync::Arc};
use upstream::Upstream;
use wire::{taskmanager::task_manager_server::TaskManagerServer, v1::gateway_server::GatewayServer};

/// As printed, and as the binary is called.
const NAME: &str = "Gateway";

/// A gateway that holds its ports and doesn't serve yet.
#[derive(Debug)]
pub struct Gateway {
    service: Service,
    web: Service,
    upstream: Upstream,
    gate: Gate,
}

impl Gateway {
    /// Takes the ports.
    ///
    /// # Errors
    /// [`service::Fatal`], with a hint, if a port or the scheduler's URL can't be used.
    pub async fn listen(options: &Options) -> service::Result<Self> {
        let (tls, gate) = (options.tls.load()?, gate(options)?);
        let upstream = Upstream::new(&options.scheduler, &tls, Bearer::of_file(options.token_file.as_deref())?)?;
        // The defaults are asked for as well: clients look for the gateway there.
        let service = Service::listen(NAME, options.listen, true, &options.service, &tls, gate.is_on()).await?;
        let service = service.front_door().gated(gate.clone());
        let web = service.beside(options.http_listen, "--http-listen", &options.service).await?;
        Ok(Self { service, web, upstream, gate })
    }

    /// The real address of gRPC.
    pub fn addr(&self) -> SocketAddr {
        self.service.addr()
    }

    /// The real address of HTTP.
    pub fn http_addr(&self) -> SocketAddr {
        self.web.addr()
    }

    /// Serves until a stop is asked for, prints both lines, and has joined all its tasks when it returns.
    ///
    /// # Errors
    /// [`service::Fatal`] if it cannot serve at all.
    pub async fn serve(self, stopping: Stopping) -> service::Result<()> {
        let readiness = self.service.readiness();
        let (app, submissions) = App::new(self.upstream.clone(), readiness.clone());
        let gateway = GatewayServer::new(grpc::Handlers::new(Arc::clone(&app)))
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES);
        let older = TaskManagerServer::new(compat::TaskManager::new(Arc::clone(&app)))
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES);
        let api =
            Api::new(wire::DESCRIPTOR).rows(RPC_SCOPES).serving(call::Keeping(gateway)).serving(call::Keeping(older));
        let web = Api::plain(http::routes(app, &self.gate));
        tracing::info!(address = %self.web.addr(), "HTTP listening");
        let serving = async { tokio::try_join!(self.service.serve(api, &stopping), self.web.serve(web, &stopping)) };
        // The others end only with the service: dropping them when it is done joins them.
        tokio::select! {
            served = serving => served.map(drop)?,
            () = submissions.run(self.upstream.clone()) => {}
            () = self.upstream.watch(readiness.clone()) => {}
            () = self.upstream.tell_tokens(&self.gate, &readiness) => {}
            () = self.gate.watch() => {}
        }
        Service::say_stopped(NAME);
        Ok(())
    }
}

/// Who may call.
fn gate(options: &Options) -> Result<Gate, Fatal> {
    auth::begin();
    match options.auth {
        AuthMode::Off => Ok(Gate::default()),
        AuthMode::Tokens => {
            let audit = options.audit_log.as_deref().map(Audit::open).transpose()?;
            Ok(Gate::new(options.rate_limit, audit))
        }
    }
}

/// The gateway from its options to its end.
///
/// # Errors
/// [`service::Fatal`], with a hint, if it cannot start.
pub async fn run(options: Options, stopping: Stopping) -> service::Result<()> {
    Gateway::listen(&options).await?.serve(stopping).await
}
