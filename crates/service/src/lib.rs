//! What every binary does alike: options, logs, listening, health, metrics, signals and the graceful stop.
//!
//! Must never know what a service is for: it knows names, addresses and readiness only.

mod api;
pub mod auth;
mod bodies;
pub mod ca;
mod config;
mod connection;
mod core_files;
mod descriptors;
mod fatal;
mod guard;
mod http;
mod limits;
mod listen;
mod logging;
mod metrics;
mod options;
mod pages;
mod peer;
mod peers;
mod plain;
mod readiness;
mod run;
mod server;
mod size;
mod stop_body;
mod stopping;
mod tls_options;
pub mod trace;

pub use api::Api;
pub use auth::{AuthMode, Bearer, Caller, Gate, Secret};
pub use config::{parse, parse_from};
pub use core_files::{core_limit, forbid_core_files};
pub use fatal::Fatal;
pub use http::wrong_method;
pub use listen::Service;
pub use options::{LogFormat, Options, address, duration};
pub use peer::{Peer, PeerName};
pub use readiness::Readiness;
pub use run::{Result, run, starts_no_programs};
pub use size::{show_size, size};
pub use stopping::Stopping;
pub use tls::Tls;
pub use tls_options::TlsOptions;

/// The version that every binary and every health check says.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
