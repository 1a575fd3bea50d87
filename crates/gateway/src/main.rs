//! The gateway's process.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options: gateway::Options = service::parse();
    service::starts_no_programs();
    service::run(&options.service.clone(), |stopping| gateway::run(options, stopping))
}
