//! `baton gateway`, `baton scheduler`, `baton worker`: the mains of the services of these names.

use service::Service;
use std::process::ExitCode;
use worker::Embedding;

pub fn gateway(options: gateway::Options) -> ExitCode {
    service::starts_no_programs();
    service::run(&options.service.clone(), |stopping| gateway::run(options, stopping))
}

pub fn scheduler(options: scheduler::Options) -> ExitCode {
    service::starts_no_programs();
    service::run(&options.common.clone(), async |stopping| {
        scheduler::run(options, stopping).await?;
        Service::say_stopped("Scheduler");
        Ok(())
    })
}

pub fn worker(line: worker::Line) -> ExitCode {
    worker::serve(line, Embedding { keeper_arguments: KEEPER, ..Embedding::default() })
}

/// The arguments that make this program a keeper.
pub const KEEPER: &[&str] = &["worker", "keeper"];

/// Those that make it the tender of a container.
const TENDER: &[&str] = &["worker", "tender"];

/// A keeper or a tender, if that is what this process was started as: before anything else, because a keeper has no
/// runtime, no threads and no options.
pub fn helper() -> Option<ExitCode> {
    let args: Vec<_> = std::env::args_os().skip(1).take(KEEPER.len()).collect();
    if args == TENDER {
        return Some(worker::tend());
    }
    (args == KEEPER).then(|| worker::keeper::run(std::env::args_os().skip(1 + KEEPER.len())))
}
