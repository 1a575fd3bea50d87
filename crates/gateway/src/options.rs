//! The gateway's flags.

use service::AuthMode;
use std::{net::SocketAddr, path::PathBuf};

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
    /// Whether callers have to say who they are, on loopback too
    #[arg(long, value_enum, default_value = "off", env = "BATON_AUTH")]
    pub auth: AuthMode,
    /// File with this gateway's own token, of the scope `service`, for a scheduler that asks for one
    #[arg(long, value_name = "FILE", env = "BATON_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// How many calls a second each token may make; without it, as many as it likes
    #[arg(long, value_name = "N", value_parser = rate, env = "BATON_RATE_LIMIT")]
    pub rate_limit: Option<u32>,
    /// File for the audit log of what this gateway changes and refuses; the scheduler keeps one anyway
    #[arg(long, value_name = "FILE", env = "BATON_AUDIT_LOG")]
    pub audit_log: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub tls: service::TlsOptions,
    /// Flags of every service.
    #[command(flatten)]
    pub service: service::Options,
}

/// `100` or `100/s`.
fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "must be a number of calls a second, such as 100/s".to_owned())
}
