//! The scheduler's flags.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Where a scheduler listens if nothing is said.
const LISTEN: &str = "127.0.0.1:50052";

/// Owns the tasks: stores them, gives them to workers, keeps their output.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "scheduler", version, about)]
pub struct Options {
    /// Address for gRPC, /healthz, /readyz and /metrics; port 0 takes any
    #[arg(long, value_name = "ADDR", value_parser = service::address, default_value = LISTEN, env = "BATON_LISTEN")]
    pub listen: SocketAddr,
    /// Directory of the store and of the output; held by one process at a time
    #[arg(long, value_name = "DIR", default_value = "./.baton", env = "BATON_DATA_DIR")]
    pub data_dir: PathBuf,
    /// After so long without contact, a worker's attempts are given up
    #[arg(long, value_name = "TIME", value_parser = service::duration, default_value = "60s", env = "BATON_LOST_AFTER")]
    pub lost_after: Duration,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the shared flags")]
    pub common: service::Options,
}
