//! The scheduler's flags.

use service::AuthMode;
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
    /// So long after their end tasks are deleted, and output files once all of theirs are; 0 keeps all for ever
    #[arg(long, value_name = "TIME", value_parser = retention, default_value = "7d", env = "BATON_RETENTION")]
    pub retention: Duration,
    /// Whether callers have to say who they are: workers and gateways too, and on loopback too
    #[arg(long, value_enum, default_value = "off", env = "BATON_AUTH")]
    pub auth: AuthMode,
    /// Directory of a CA, as `baton ca init` makes it: workers that bring a token of the scope `enrol` get certificates from it
    #[arg(long, value_name = "DIR", env = "BATON_ENROL_CA")]
    pub enrol_ca: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub disk: DiskOptions,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub tls: service::TlsOptions,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the shared flags")]
    pub common: service::Options,
}

/// The flags of whoever has a store on a disk.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskOptions {
    /// Below so much free space under the data directory new tasks are refused; reads, cancels and results go on. 0: never
    #[arg(long, value_name = "SIZE", value_parser = service::size, default_value = "256MiB", env = "BATON_MIN_FREE_DISK")]
    pub min_free_disk: u64,
    /// Size of a file that is given up when the disk is full, so that results and cancels can still be stored; 0: none
    #[arg(long, value_name = "SIZE", value_parser = service::size, default_value = "32MiB", env = "BATON_BALLAST")]
    pub ballast: u64,
    /// Accept that the store has lost what came after this commit; the number is named by the error that asks for it
    #[arg(long, value_name = "COMMIT", env = "BATON_ACCEPT_DATA_LOSS")]
    pub accept_data_loss: Option<u64>,
}

/// As all lengths of time; 0 needs no unit, because it is none.
fn retention(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { service::duration(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_ever_is_zero_with_or_without_a_unit() {
        assert_eq!((retention("0"), retention("0s")), (Ok(Duration::ZERO), Ok(Duration::ZERO)));
        assert_eq!(retention("7d"), Ok(Duration::from_secs(7 * 24 * 3_600)));
        assert!(retention("7").is_err());
    }
}
