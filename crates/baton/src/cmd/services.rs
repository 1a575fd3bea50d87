//! `baton gateway`, `baton scheduler`, `baton worker`: the mains of the services of these names.

use std::process::ExitCode;

pub fn gateway(options: gateway::Options) -> ExitCode {
    service::run(&options.service.clone(), |stopping| gateway::run(options, stopping))
}

pub fn scheduler(options: scheduler::Options) -> ExitCode {
    service::run(&options.common.clone(), |stopping| scheduler::run(options, stopping))
}

pub fn worker(options: worker::Options) -> ExitCode {
    service::run(&options.common.clone(), |stopping| worker::run(options, KEEPER, stopping))
}

/// The arguments that make this program a keeper.
pub const KEEPER: &[&str] = &["worker", "keeper"];

/// A keeper, if that is what this process was started as: before anything else, because a keeper has no runtime, no
/// threads and no options.
pub fn keeper() -> Option<ExitCode> {
    let args: Vec<_> = std::env::args_os().skip(1).take(KEEPER.len()).collect();
    (args == KEEPER).then(|| worker::keeper::run(std::env::args_os().skip(1 + KEEPER.len())))
}
