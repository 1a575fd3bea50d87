//! `baton ca`: a certificate authority for a small fleet, as files in a directory of one machine.

use crate::{exit::ExitStatus, failure::Failure, printer, printer::Form};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::json;
use service::{
    Fatal, PeerName,
    ca::{Authority, CA_DAYS, DAYS, DAYS_MAX, Host, Written},
};
use std::path::PathBuf;

/// Services on one machine call each other by these, whatever else they are called by.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[derive(Args)]
pub struct Ca {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a CA: ca.crt, which everybody may have, and ca.key, which never leaves this directory
    Init {
        /// A directory that has none yet
        dir: PathBuf,
        /// How long it lasts
        #[arg(long, value_name = "N", default_value_t = CA_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
        days: u32,
    },
    /// Make a certificate and its key, for a service or a worker
    Issue(Issue),
}

#[derive(Args)]
#[command(group(ArgGroup::new("name").required(true).args(["service", "worker"])))]
struct Issue {
    /// The CA's directory
    dir: PathBuf,
    /// For this service
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// For the worker of this id
    #[arg(long, value_name = "ID")]
    worker: Option<String>,
    /// A name or address by which it is called; may be repeated. A service has localhost as well; a worker without any
    /// calls others, and is not called
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    host: Vec<Host>,
    /// Where the files go: NAME.crt, NAME.key, and a copy of ca.crt [default: the CA's directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How long it lasts
    #[arg(long, value_name = "N", default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum ServiceName {
    Gateway,
    Scheduler,
}

impl ServiceName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Scheduler => "scheduler",
        }
    }
}

pub fn ca(form: Form, args: &Ca) -> Result<ExitStatus, Failure> {
    let written = match &args.verb {
        Verb::Init { dir, days } => Authority::init(dir, *days),
        Verb::Issue(args) => issue(args),
    };
    show(form, &written.map_err(|fatal| failure(&fatal))?)
}

fn issue(args: &Issue) -> Result<Written, Fatal> {
    let Issue { dir, service, worker, host, out, days } = args;
    let mut hosts = host.clone();
    let name = match (service, worker) {
        (Some(service), _) => {
            let own = OWN_HOSTS.iter().filter_map(|host| host.parse().ok()).filter(|own| !host.contains(own));
            hosts.extend(own.collect::<Vec<_>>());
            PeerName::Service(service.as_str().to_owned())
        }
        (None, worker) => {
            let id = worker.clone().unwrap_or_default();
            if id.is_empty() || id.chars().count() > domain::limits::WORD_CHARS {
                return Err(Fatal::new(format!("--worker: must be 1 to {} characters", domain::limits::WORD_CHARS)));
            }
            PeerName::Worker(id)
        }
    };
    let authority = Authority::open(dir)?;
    authority.issue(&name, &hosts, *days)?.write(out.as_deref().unwrap_or(dir), &name, &authority)
}

fn show(form: Form, written: &Written) -> Result<ExitStatus, Failure> {
    let Written { certificate, key, ca } = written;
    match form {
        Form::Json => printer::json(&json!({ "certificate": certificate, "key": key, "ca": ca }))?,
        Form::Table => {
            for (what, file) in [("certificate", certificate), ("key", key), ("ca", ca)] {
                printer::line(&format!("{what:<12} {}", file.display()))?;
            }
        }
    }
    Ok(ExitStatus::Success)
}

fn failure(fatal: &Fatal) -> Failure {
    match fatal.hint_text() {
        Some(hint) => Failure::hint(fatal.to_string(), hint),
        None => Failure::error(fatal.to_string()),
    }
}
