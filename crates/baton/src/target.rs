//! Which gateway is meant.

use crate::failure::Failure;
use client::{Access, Client};
use std::path::PathBuf;

/// Flags of every command that calls one.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// Where the gateway is
    #[arg(long = "gateway-url", global = true, value_name = "URL", env = "BATON_GATEWAY", default_value = client::GATEWAY_DEFAULT)]
    pub gateway_url: String,
    /// CA that the certificate of a gateway at https:// must come from [default: those that this machine trusts]
    #[arg(long, global = true, value_name = "FILE", env = "BATON_CA")]
    pub ca: Option<PathBuf>,
    /// File with the token that calls are made with
    #[arg(long, global = true, value_name = "FILE", env = "BATON_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

impl Target {
    /// A client of it, which knows no more of the files than their text; nothing is sent yet.
    pub fn client(&self) -> Result<Client, Failure> {
        let secret = self.token_file.as_deref().map(service::Secret::read).transpose();
        let secret = secret.map_err(|error| match error.hint_text() {
            Some(hint) => Failure::hint(error.to_string(), hint),
            None => Failure::error(error.to_string()),
        })?;
        let access = Access { ca: self.ca.as_deref(), token: secret.as_ref().map(service::Secret::text) };
        Ok(Client::connect_as(&self.gateway_url, access)?)
    }
}
