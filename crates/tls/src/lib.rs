//! TLS: which files, what is offered and asked for with them, and reading them again when they change.
//!
//! Must never know what is said over a connection, nor who may say it.

mod config;
mod connect;
mod corked;
mod files;
mod first;
mod rotation;
mod words;

pub use connect::{connect, lazy};
pub use files::{Error, Files};
pub use first::{fingerprint, sha256};
pub use rotation::Tls;
pub use tokio_rustls::{TlsAcceptor, server::TlsStream};
pub use words::refused;
