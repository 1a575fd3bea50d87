//! `baton run -- COMMAND`: as if the command ran here – its bytes, its exit code; Ctrl-C cancels it.

use crate::{
    ctrl_c, escape::shown, exit::ExitStatus, failure::Failure, follow, follow::End, handover, notes::Notes, printer,
    task_options::TaskOptions,
};
use clap::Args;
use client::Client;
use std::io::{self, IsTerminal};
use wire::v1::TaskStatus;

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    options: TaskOptions,
    /// Print nothing but what the task writes, and errors
    #[arg(short, long)]
    quiet: bool,
    /// One word is a line for the shell; several are a program and its arguments, started without a shell
    #[arg(value_name = "COMMAND", required_unless_present = "docker", last = true)]
    command: Vec<String>,
}

pub async fn run(gateway: &Client, args: Run) -> Result<ExitStatus, Failure> {
    let Run { options, quiet, command } = args;
    let spec = options.spec(command)?;
    let interrupts = ctrl_c::cancel_on_ctrl_c(gateway)?;
    let (accepted, story) = handover::run(&gateway.clone().patience(follow::PATIENCE), spec).await?;
    interrupts.task_is(&accepted.task_id);
    Notes::new(quiet).accepted(&accepted);
    let mut reader_has_gone = false;
    let end = follow::read(story, &accepted.task_id, |event| {
        let written = follow::print_output(event);
        reader_has_gone = written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
        written
    })
    .await;
    match end {
        Ok(end) => Ok(status(&end, quiet)),
        // In a pipeline a command dies of it; so does the task.
        Err(_) if reader_has_gone => {
            gateway.cancel(&accepted.task_id, true).await?;
            Ok(ExitStatus::BrokenPipe)
        }
        Err(failure) => Err(failure),
    }
}

/// The exit code that tells how the task ended.
fn status(end: &End, quiet: bool) -> ExitStatus {
    // Where the code tells everything, not a byte is added to what the task itself wrote.
    let tell = |always: bool| {
        if always || (!quiet && io::stderr().is_terminal()) {
            printer::note(&format!("{}: {}", if always { "error" } else { "baton" }, shown(&end.message)));
        }
    };
    match end.status {
        TaskStatus::Completed => ExitStatus::Success,
        TaskStatus::TimedOut => {
            tell(false);
            ExitStatus::TimedOut
        }
        TaskStatus::Cancelled => {
            tell(false);
            ExitStatus::Cancelled
        }
        TaskStatus::Failed
        | TaskStatus::Unspecified
        | TaskStatus::Pending
        | TaskStatus::Running
        | TaskStatus::Dispatched => match u8::try_from(end.exit_code) {
            Ok(code) if code > 0 => ExitStatus::Task(code),
            Ok(_) | Err(_) => {
                tell(true);
                ExitStatus::Error
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_code() {
        let code = |status, exit_code| super::status(&End { status, exit_code, message: "x".into() }, false).code();
        assert_eq!(code(TaskStatus::Completed, 0), 0);
        assert_eq!(code(TaskStatus::Failed, 7), 7);
        assert_eq!(code(TaskStatus::Failed, 137), 137);
        assert_eq!(code(TaskStatus::Failed, -1), 1, "never started");
        assert_eq!(code(TaskStatus::TimedOut, -1), 124);
        assert_eq!(code(TaskStatus::Cancelled, 143), 130);
    }
}
