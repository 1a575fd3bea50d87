//! The gateway's flags.

use std::net::SocketAddr;

/// The only door for clients: checks their calls and passes them on to the scheduler
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "gateway", version)]
pub struct Options {
    /// Where clients call; port 0 takes any
    #[arg(long, value_name = "ADDR", value_parser = service::address, default_value = "127.0.0.1:50051", env = "BATON_LISTEN")]
    pub listen: SocketAddr,
    /// Where HTTP clients call: JSON and event streams; port 0 takes any, and the log says which
    #[arg(long, value_name = "ADDR", value_parser = service::address, default_value = "127.0.0.1:8080", env = "BATON_HTTP_LISTEN")]
    pub http_listen: SocketAddr,
    /// Where the scheduler is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50052", env = "BATON_SCHEDULER")]
    pub scheduler: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub tls: service::TlsOptions,
    /// Flags of every service.
    #[command(flatten)]
    pub service: service::Options,
}
