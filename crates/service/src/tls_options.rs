//! The flags that name certificates and keys.

use crate::Fatal;
use std::path::PathBuf;
use tls::{Files, Tls};

/// Flags of every service that speaks TLS. The files are PEM, and read again when they change.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
#[group(skip)]
pub struct TlsOptions {
    /// Certificate of this service, with those between it and its CA: its ports speak TLS, and those it calls see it
    #[arg(long, value_name = "FILE", env = "BATON_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate
    #[arg(long, value_name = "FILE", env = "BATON_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// CA that callers' certificates must come from, if they show one, and those of services that are called by https://
    #[arg(long, value_name = "FILE", env = "BATON_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Fatal`] names the flag and the file.
    pub fn load(&self) -> Result<Tls, Fatal> {
        let Self { tls_cert: cert, tls_key: key, tls_ca: ca } = self.clone();
        let hint = "baton ca issue makes certificates and keys: docs/security.md";
        Tls::load(Files { cert, key, ca, ca_flag: "--tls-ca" })
            .map_err(|error| Fatal::new(error.to_string()).hint(hint))
    }
}
