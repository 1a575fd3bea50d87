//! `baton completions SHELL`: prints a completion script.

use crate::{cli::Cli, exit::ExitStatus, failure::Failure, printer};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Args)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

pub fn completions(args: &Completions) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "baton", &mut script);
    printer::bytes(printer::Stream::Out, &script)?;
    Ok(ExitStatus::Success)
}
