//! From `main` to an exit code.

use crate::{Fatal, Options, Stopping, core_files, descriptors, logging, pages};
use std::{process::ExitCode, time::Duration};

/// What a service's main returns; a [`Fatal`] in it is shown with its hint.
pub type Result<T> = anyhow::Result<T>;

/// Blocking threads (a commit, a read) get so long to end after everything else has.
const THREADS_END: Duration = Duration::from_secs(2);

/// Runs a service: logs, signals, a runtime of one thread (two cost latency and gain nothing, MEASURED), then `main`.
/// An error becomes `error: …` with a hint on stderr and code 1.
pub fn run<F>(options: &Options, main: impl FnOnce(Stopping) -> F) -> ExitCode
where
    F: Future<Output = Result<()>>,
{
    match prepared(options, main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = error.downcast_ref::<Fatal>().and_then(Fatal::hint_text) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What is right for a service that starts no programs, which would inherit it or miss it: closed memory, in small pages.
/// Before [`run`].
pub fn starts_no_programs() {
    core_files::close_memory();
    pages::small();
}

fn prepared<F>(options: &Options, main: impl FnOnce(Stopping) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    core_files::forbid_core_files();
    logging::install(options.log_format)?;
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stopping = Stopping::new();
    let result = runtime.block_on(async {
        // Before anything else: a service that is still starting ends as gracefully as any.
        let signals = stopping.clone().follow_signals()?;
        tokio::select! {
            result = main(stopping.clone()) => result,
            () = signals => Ok(()),
        }
    });
    runtime.shutdown_timeout(THREADS_END);
    result
}
