//! The worker's flags.

use crate::{
    DockerHost,
    keeper::{SpoolFull, SpoolLimits},
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// Where a worker listens if nothing is said, or the next free port.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 50053);
/// The most slots: each may be a process tree with two pipes in the keeper.
const SLOTS_MAX: i64 = 10_000;

/// Executes tasks: commands, and handlers by name.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "worker", version, about)]
pub struct Options {
    /// Address for gRPC, /healthz, /readyz and /metrics [default: 127.0.0.1:50053 or the next free port]
    #[arg(long, value_name = "ADDR", value_parser = service::address, env = "BATON_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// The scheduler
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50052", env = "BATON_SCHEDULER")]
    pub scheduler: String,
    /// File with this worker's token, of the scope `worker`, for a scheduler that asks for one
    #[arg(long, value_name = "FILE", env = "BATON_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Name of this worker, unique among those connected [default: the host name]
    #[arg(long, value_name = "ID", env = "BATON_ID")]
    pub id: Option<String>,
    /// Directory of what outlives this process; held by one worker at a time [default: ./.baton/workers/ID]
    #[arg(long, value_name = "DIR", env = "BATON_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// How many tasks run at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=SLOTS_MAX), env = "BATON_SLOTS")]
    pub slots: Option<u32>,
    /// A label that tasks may ask for; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair, value_delimiter = ',', env = "BATON_LABEL")]
    pub label: Vec<(String, String)>,
    /// Runs handler tasks of this name by a line for /bin/sh: payload on stdin, result on stdout; may be repeated
    #[arg(long, value_name = "NAME=COMMAND", value_parser = pair, env = "BATON_HANDLER")]
    pub handler: Vec<(String, String)>,
    /// File that says what this worker runs, whatever its scheduler says; without it, everything (docs/security.md)
    #[arg(long, value_name = "FILE", env = "BATON_POLICY")]
    pub policy: Option<PathBuf>,
    /// Runs all commands as this user, and this group; needs root
    #[arg(long, value_name = "USER[:GROUP]", env = "BATON_RUN_AS")]
    pub run_as: Option<String>,
    /// Don't answer handler tasks that nobody knows with their payload, as a worker without --handler does on loopback
    #[arg(long, env = "BATON_NO_DEMO", value_parser = clap::builder::BoolishValueParser::new())]
    pub no_demo: bool,
    /// From SIGTERM to SIGKILL when a task is cancelled or out of time
    #[arg(long, value_name = "TIME", value_parser = service::duration, default_value = "5s", env = "BATON_KILL_GRACE")]
    pub kill_grace: Duration,
    /// The Docker engine that runs container tasks, by its socket, whenever it answers; none: don't
    #[arg(long, value_name = "URL", value_parser = DockerHost::parse, default_value = "unix:///var/run/docker.sock",
        env = "BATON_DOCKER_HOST")]
    pub docker_host: DockerHost,
    /// Output of one task that is held, in memory and on disk, while nobody takes it
    #[arg(long, value_name = "BYTES", value_parser = service::size, default_value = "256MiB",
        env = "BATON_SPOOL_ATTEMPT")]
    pub spool_attempt: u64,
    /// Output of all tasks together that is held while nobody takes it
    #[arg(long, value_name = "BYTES", value_parser = service::size, default_value = "4GiB", env = "BATON_SPOOL")]
    pub spool: u64,
    /// Beyond it, and when the disk is full: drop output and count it, or block its task. Results are never dropped
    #[arg(long, value_enum, default_value = "drop", env = "BATON_SPOOL_FULL")]
    pub spool_full: SpoolFull,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub tls: service::TlsOptions,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the shared flags")]
    pub common: service::Options,
}

impl Options {
    /// The address to listen on, and whether it was asked for.
    pub(crate) fn address(&self) -> (SocketAddr, bool) {
        (self.listen.unwrap_or(LISTEN), self.listen.is_some())
    }

    /// The worker's name.
    pub(crate) fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
    }

    /// The data directory of a worker of this name.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("./.baton/workers").join(name))
    }

    /// How many tasks run at once.
    pub(crate) fn slot_count(&self) -> u32 {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.slots.unwrap_or_else(|| u32::try_from(cores()).unwrap_or(1))
    }

    /// How much output is held that nobody takes.
    pub(crate) fn spool_limits(&self) -> SpoolLimits {
        SpoolLimits { attempt_bytes: self.spool_attempt, all_bytes: self.spool, full: self.spool_full }
    }

    /// The labels.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.label.iter().cloned().collect()
    }

    /// The handlers that are commands, by name.
    pub(crate) fn handlers(&self) -> BTreeMap<String, String> {
        self.handler.iter().cloned().collect()
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("must have the form NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_split_at_the_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for bad in ["", "a", "=b", "a="] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_worker_starts_without_any_argument() {
        let options: Options = service::parse_from(["worker"]).unwrap();
        assert_eq!(options.address(), ("127.0.0.1:50053".parse().unwrap(), false));
        assert!(!options.name().is_empty() && options.slot_count() > 0);
        assert_eq!(options.spool_limits(), SpoolLimits::default());
        assert_eq!(options.docker_host, DockerHost::default());
        assert_eq!(options.directory("w"), PathBuf::from("./.baton/workers/w"));
    }
}
