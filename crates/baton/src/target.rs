//! Which gateway is meant.

use crate::failure::Failure;
use client::Client;
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
}

impl Target {
    /// A client of it; nothing is sent yet.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(match &self.ca {
            None => Client::connect(&self.gateway_url)?,
            Some(ca) => Client::connect_trusting(&self.gateway_url, ca)?,
        })
    }
}
