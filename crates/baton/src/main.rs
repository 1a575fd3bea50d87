//! `baton`: everything on one command line.
//!
//! Must never decide anything about tasks: it translates words into calls and answers into words and exit codes.

mod bar;
mod bench;
mod cli;
mod cmd;
mod container;
mod ctrl_c;
mod duration;
mod escape;
mod exit;
mod failure;
mod follow;
mod handover;
mod notes;
mod on_lost;
mod printer;
mod status;
mod target;
mod task_ids;
mod task_options;
mod view;
mod waiting;
mod when;

use cli::{Cli, Command};
use client::Client;
use exit::ExitStatus;
use failure::Failure;
use std::process::ExitCode;
use target::Target;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = cmd::services::helper() {
        return code;
    }
    let Cli { target, output, command } = service::parse();
    // Commands that are services or need no gateway come first; the others share one client.
    let done = match command {
        Command::Dev(args) => return cmd::dev::dev(args),
        Command::Gateway(options) => return cmd::services::gateway(options),
        Command::Scheduler(options) => return cmd::services::scheduler(options),
        Command::Worker(options) => return cmd::services::worker(options),
        Command::BenchWorker(options) => return cmd::bench::worker(options),
        Command::Bench(args) => cmd::bench::bench(&target, output, args),
        Command::Progress(args) => cmd::progress::progress(&args),
        Command::Backup(args) => cmd::backup::backup(output, &args),
        Command::Ca(args) => cmd::ca::ca(output, &args),
        Command::Restore(args) => cmd::backup::restore(output, &args),
        Command::Doctor(args) => cmd::doctor::doctor(&target, output, &args),
        Command::Completions(args) => cmd::completions::completions(&args),
        Command::Run(args) => call(&target, async |gateway| cmd::run::run(&gateway, args).await),
        Command::Submit(args) => call(&target, async |gateway| cmd::submit::submit(&gateway, output, args).await),
        Command::Get(args) => call(&target, async |gateway| cmd::get::get(&gateway, output, &args).await),
        Command::List(args) => call(&target, async |gateway| cmd::list::list(&gateway, output, &args).await),
        Command::Watch(args) => call(&target, async |gateway| cmd::watch::watch(&gateway, output, &args).await),
        Command::Logs(args) => call(&target, async |gateway| cmd::logs::logs(&gateway, &args).await),
        Command::Explain(args) => call(&target, async |gateway| cmd::explain::explain(&gateway, output, &args).await),
        Command::Retry(args) => call(&target, async |gateway| cmd::retry::retry(&gateway, output, &args).await),
        Command::Cancel(args) => call(&target, async |gateway| cmd::cancel::cancel(&gateway, output, &args).await),
        Command::Workers(args) => call(&target, async |gateway| cmd::workers::workers(&gateway, output, &args).await),
        Command::Drain(args) => call(&target, async |gateway| cmd::drain::drain(&gateway, output, &args).await),
        Command::Token(args) => call(&target, async |gateway| cmd::token::token(&gateway, output, &args).await),
        Command::Queues(args) => call(&target, async |gateway| cmd::queues::queues(&gateway, output, &args).await),
    };
    ExitCode::from(done.unwrap_or_else(|failure| failure.show()).code())
}

/// Runs a command that needs the gateway.
fn call(
    target: &Target,
    command: impl AsyncFnOnce(Client) -> Result<ExitStatus, Failure>,
) -> Result<ExitStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::error(format!("cannot start: {e}")))?;
    runtime.block_on(async { command(target.client()?).await })
}
