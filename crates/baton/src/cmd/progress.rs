//! `baton progress 42 "message"`, inside a task: says how far it is.

use crate::{exit::ExitStatus, failure::Failure};
use clap::Args;
use std::{fs::OpenOptions, io::Write};

/// The descriptor that a worker gives to each of its tasks.
const DESCRIPTOR: &str = "BATON_PROGRESS_FD";

#[derive(Args)]
pub struct Progress {
    /// How far the task is, 0 to 100
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
    /// What it is doing
    #[arg(default_value = "")]
    message: String,
}

pub fn progress(args: &Progress) -> Result<ExitStatus, Failure> {
    let outside = || Failure::hint("not inside a task", "tasks find the way to their worker in BATON_PROGRESS_FD");
    let descriptor: u32 = std::env::var(DESCRIPTOR).ok().and_then(|v| v.parse().ok()).ok_or_else(outside)?;
    // Opened by its name: it stays open for the task's other commands.
    let mut pipe = OpenOptions::new().write(true).open(format!("/dev/fd/{descriptor}")).map_err(|_| outside())?;
    // One write of one line, so that lines of concurrent commands don't mix.
    let message: String = args.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let message: String = message.chars().take(domain::limits::MESSAGE_CHARS).collect();
    pipe.write_all(format!("{} {message}\n", args.percent).as_bytes())
        .map_err(|e| Failure::error(format!("cannot report progress: {e}")))?;
    Ok(ExitStatus::Success)
}
