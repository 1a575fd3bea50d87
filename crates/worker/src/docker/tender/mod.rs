//! The tender: a process that stands for one container, so that the keeper can treat it like any command.
//!
//! Its stdout and stderr are the container's; it must never write anything of its own there. What it has to say goes to
//! the progress descriptor and into its note.

mod life;
mod output;
mod progress;
mod stop;

use super::{
    job::Job,
    note::{Failed, Note},
};
use life::Ending;
use std::{
    io::{self, Read as _},
    process::ExitCode,
};
use stop::Stop;

/// The exit code if there is none of a container's: as the engine's own command line has it.
const FAILED: u8 = 125;

/// The tender's `main`: its job is on stdin.
pub fn tend() -> ExitCode {
    let mut bytes = Vec::new();
    let job = match io::stdin().read_to_end(&mut bytes) {
        Ok(_) => Job::decode(&bytes),
        Err(error) => Err(error.to_string()),
    };
    let (job, runtime) = match (job, tokio::runtime::Builder::new_current_thread().enable_all().build()) {
        (Ok(job), Ok(runtime)) => (job, runtime),
        (Err(why), _) => return cannot(&why),
        (_, Err(error)) => return cannot(&error.to_string()),
    };
    let (ending, gone) = runtime.block_on(async {
        // Before anything else: from here on the container is ended before this process is.
        match Stop::listen() {
            Ok(stop) => life::live(&job, &stop).await,
            Err(error) => (Ending::NotStarted(format!("no signals: {error}")), true),
        }
    });
    let code = match &ending {
        Ending::Code(code) => u8::try_from(*code).unwrap_or(FAILED),
        Ending::NotStarted(_) | Ending::Lost(_) | Ending::Stopped => FAILED,
    };
    let failed = match ending {
        Ending::Code(_) | Ending::Stopped => None,
        Ending::NotStarted(why) => Some(Failed::NotStarted(why)),
        Ending::Lost(why) => Some(Failed::Lost(why)),
    };
    let noted = Note::read(&job.note).and_then(|note| Note { gone, failed, ..note }.write(&job.note));
    match noted {
        // The runtime isn't waited for: what it still holds is a connection to the engine.
        Ok(()) => std::process::exit(code.into()),
        Err(error) => cannot(&format!("its note {}: {error}", job.note.display())),
    }
}

/// Not a word of the task's, but nobody else would say it.
fn cannot(why: &str) -> ExitCode {
    eprintln!("baton: the container's tender cannot work: {why}");
    ExitCode::from(FAILED)
}
