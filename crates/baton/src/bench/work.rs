//! What each task of a bench does.

use super::NOOP;
use crate::failure::Failure;
use clap::Args;
use wire::v1;

#[derive(Args, Clone)]
pub struct Work {
    /// Run this handler [default, of services that are started: one that does nothing]
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    handler: Option<String>,
    /// Run this: one word is a line for the shell; several are a program and its arguments, started without a shell
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

impl Work {
    /// Whether each task is a process.
    pub fn is_command(&self) -> bool {
        !self.command.is_empty()
    }

    /// One task of it, in this queue.
    pub fn spec(&self, queue: &str, started: bool) -> Result<v1::TaskSpec, Failure> {
        let spec = v1::TaskSpec { queue: queue.to_owned(), ..Default::default() };
        match (&self.handler, self.command.as_slice()) {
            (Some(name), _) => Ok(v1::TaskSpec { name: name.clone(), ..spec }),
            (None, [program, args @ ..]) => Ok(command(spec, program, args)),
            (None, []) if started => Ok(v1::TaskSpec { name: NOOP.into(), ..spec }),
            (None, []) => Err(Failure::usage("say what running services shall do: --handler NAME or -- COMMAND")),
        }
    }
}

/// A task that runs a command.
pub fn command(spec: v1::TaskSpec, program: &str, args: &[String]) -> v1::TaskSpec {
    let shell = v1::ShellRun { command: program.to_owned(), args: args.to_vec(), ..Default::default() };
    v1::TaskSpec { name: "bench".into(), run: Some(v1::task_spec::Run::Shell(shell)), ..spec }
}
