//! `worker join`: a machine that has a token for joining becomes a worker of a fleet, and runs.
//!
//! Must never send the token to somebody who isn't known by the right CA, nor leave anything behind of which a later run would
//! believe that it has joined.

mod ask;
mod home;

use crate::{Options, data_dir::DataDir};
use home::Home;
use service::{Fatal, auth::Invitation, ca};
use std::{fs, path::PathBuf};

/// The worker's command line: its flags, or `join` with them.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "worker",
    version,
    about = "Executes tasks: commands, and handlers by name",
    args_conflicts_with_subcommands = true
)]
pub struct Line {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub options: Options,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "a doc comment would replace that of the subcommands")]
    pub verb: Option<Verb>,
}

/// What else a worker's program can do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Join a fleet with a token of the scope `enrol` (--token-file), and run; once it has joined, just run
    Join(Box<Join>),
}

/// Where to join, and as what.
#[derive(Clone, Debug, clap::Args)]
pub struct Join {
    /// The scheduler, such as https://scheduler.example.org:50052
    #[arg(value_name = "URL")]
    pub url: String,
    /// CA that the scheduler's certificate must come from [default: the one that the token names]
    #[arg(long, value_name = "FILE", env = "BATON_CA")]
    pub ca: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    pub worker: Options,
}

impl Line {
    /// The flags that all services share, of whichever of the two it is.
    pub(crate) fn common(&self) -> &service::Options {
        match &self.verb {
            None => &self.options.common,
            Some(Verb::Join(join)) => &join.worker.common,
        }
    }
}

impl Join {
    /// Joins, unless it has; then these are the flags of a worker that has.
    ///
    /// # Errors
    /// [`Fatal`]: why it can't join. Nothing is left half done: the next try finds the same key, or a whole certificate.
    pub(crate) async fn joined(self) -> Result<Options, Fatal> {
        let Self { url, ca, worker: options } = self;
        if options.tls.tls_cert.is_some() || options.tls.tls_key.is_some() || options.tls.tls_ca.is_some() {
            return Err(Fatal::new(
                "worker join gets its certificate by itself: leave --tls-cert, --tls-key and --tls-ca out",
            ));
        }
        let target = ask::Place::parse(&url)?;
        let name = options.name();
        let dir = options.directory(&name);
        // Nobody else may be it meanwhile. A worker that runs takes it anew.
        let held = DataDir::open(&dir)?;
        let home = Home::at(&dir);
        if home.has_joined() {
            tracing::info!(worker = name, "Joined before");
        } else {
            let file = options.token_file.as_deref().ok_or_else(|| {
                Fatal::new("joining needs a token: --token-file FILE")
                    .hint("an administrator makes one: baton token create --name NAME --scope enrol")
            })?;
            enrol(&target, &name, &Invitation::read(file)?, ca, &home).await?;
            tracing::info!(worker = name, scheduler = url, "Joined");
        }
        drop(held);
        Ok(Options { scheduler: url, token_file: None, tls: home.tls(), ..options })
    }
}

async fn enrol(
    place: &ask::Place,
    name: &str,
    invitation: &Invitation,
    ca: Option<PathBuf>,
    home: &Home,
) -> Result<(), Fatal> {
    let authority = match (ca, invitation.ca()) {
        (Some(file), _) => fs::read_to_string(&file)
            .map_err(|error| Fatal::new(format!("--ca: cannot read {}: {error}", file.display())))?,
        (None, Some(hash)) => ask::authority(place, hash).await?,
        (None, None) => {
            return Err(Fatal::new("the token does not say by which CA its scheduler is known: --ca FILE")
                .hint("tokens say so that were made while the scheduler ran with --enrol-ca; or copy its ca.crt"));
        }
    };
    // The key before the question: whoever asks again has to have the same one.
    let key = home.key()?;
    let certificate = ask::certificate(place, &authority, invitation.secret(), name, ca::request(&key)?).await?;
    if !ca::is_of(&certificate, &key) {
        return Err(Fatal::new(format!("{place} answered with a certificate of another key")));
    }
    home.settle(&authority, &certificate)
}
