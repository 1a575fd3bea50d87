//! The command line.

use crate::{cmd, printer::Form, target::Target};
use clap::{Parser, Subcommand};

/// Runs anything on any number of machines: durable, retried, ordered, explained
#[derive(Parser)]
#[command(name = "baton", version, about, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub target: Target,
    /// Form of what is printed
    #[arg(long, global = true, value_enum, default_value = "table")]
    pub output: Form,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 error, 2 usage, 3 no gateway, 4 not found.
Of `run`: the task's own (128+n for signal n), 124 timed out, 130 cancelled, 141 nobody reads it.
Of `watch`, `submit --wait` and `retry --wait`: 0 if all completed, else 1; 130 after Ctrl-C.

First steps: `baton dev` in one terminal, `baton run -- echo hello` in another.";

#[derive(Subcommand)]
pub enum Command {
    /// Run gateway, scheduler and a worker in this process
    Dev(cmd::dev::Dev),
    /// Run a command as a task: its output, its exit code; Ctrl-C cancels it
    Run(cmd::run::Run),
    /// Hand tasks over – one, an array, or a file of them – and print their ids
    Submit(cmd::submit::Submit),
    /// Show a task
    Get(cmd::get::Get),
    /// List tasks, newest first
    List(cmd::list::List),
    /// Follow what happens to a task, up to its end; of an array, how many of its members have ended
    Watch(cmd::watch::Watch),
    /// Print what a task wrote
    Logs(cmd::logs::Logs),
    /// Say why a task is not running, and what each worker misses for it
    Explain(cmd::explain::Explain),
    /// Run a final task again, as a new one; of an array, the members that failed
    Retry(cmd::retry::Retry),
    /// End tasks, with all their processes
    Cancel(cmd::cancel::Cancel),
    /// List the workers, or forget one that won't come back
    Workers(cmd::workers::Workers),
    /// Give a worker nothing new
    Drain(cmd::drain::Drain),
    /// List the queues, pause or resume one
    Queues(cmd::queues::Queues),
    /// Make, list and revoke tokens: who may call, and for what
    Token(cmd::token::Token),
    /// Write all tasks and their output, as they are now, into a new directory; the scheduler goes on meanwhile
    Backup(cmd::backup::Backup),
    /// Make a data directory out of a backup
    Restore(cmd::backup::Restore),
    /// Look for what is wrong: services, workers, disk, store
    Doctor(cmd::doctor::Doctor),
    /// A certificate authority for a small fleet: make one, issue certificates
    Ca(cmd::ca::Ca),
    /// Measure how fast it is here: tasks, submits, latency, output, a long backlog, idleness
    Bench(cmd::bench::Bench),
    /// Inside a task: say how far it is
    Progress(cmd::progress::Progress),
    /// Print a completion script for a shell
    Completions(cmd::completions::Completions),
    /// Run a gateway
    Gateway(gateway::Options),
    /// Run a scheduler
    Scheduler(scheduler::Options),
    /// Run a worker
    Worker(worker::Line),
    /// The worker of `bench`
    #[command(hide = true)]
    BenchWorker(worker::Options),
}
