//! `baton submit`: hands tasks over – one, an array, or as many as a file holds – and prints their ids.

use crate::{
    exit::ExitStatus,
    failure::Failure,
    handover::{self, Json, Lines, Rules, Source, is_stdin},
    notes::Notes,
    printer::Form,
    task_options::TaskOptions,
    waiting::WaitOptions,
    when,
};
use clap::Args;
use client::Client;
use domain::{Ranges, TaskId};
use serde_json::json;
use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};
use wire::v1::{self, TaskAccepted};

#[derive(Args)]
#[command(after_long_help = handover::HELP)]
pub struct Submit {
    #[command(flatten)]
    options: TaskOptions,
    /// Run the command once for each of these indexes, such as 1-1000, 1,5,9 or 0-98:2; it is found in BATON_ARRAY_INDEX
    #[arg(long, value_name = "INDEXES", value_parser = Ranges::parse)]
    array: Option<Ranges>,
    /// Run the command once for each line of a file (- for stdin), found in BATON_ENTRY; the index is the line's number
    #[arg(long, value_name = "FILE", conflicts_with = "array")]
    each_line: Option<PathBuf>,
    /// Submit the tasks that a file (- for stdin) describes: one JSON list, or one task a line; see --help
    #[arg(long, value_name = "FILE", conflicts_with_all = ["array", "each_line", "stdin", "name", "docker", "command"])]
    from_json: Option<PathBuf>,
    /// Not before so long from now, by this machine's clock, such as 10m
    #[arg(long, value_name = "TIME", value_parser = when::delay, conflicts_with = "run_at")]
    delay: Option<Duration>,
    /// Not before this moment, such as 2026-01-31T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = when::time)]
    run_at: Option<i64>,
    /// Idempotency key: the same command with the same key submits nothing twice
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    #[command(flatten)]
    waiting: WaitOptions,
    /// Don't say why a task can't start
    #[arg(short, long)]
    quiet: bool,
    /// One word is a line for the shell; several are a program and its arguments, started without a shell
    #[arg(value_name = "COMMAND", required_unless_present_any = ["from_json", "docker"], last = true)]
    command: Vec<String>,
}

pub async fn submit(gateway: &Client, form: Form, args: Submit) -> Result<ExitStatus, Failure> {
    let Submit { options, array, each_line, from_json, delay, run_at, key, waiting, quiet, command } = args;
    if options.stdin && each_line.as_deref().is_some_and(is_stdin) {
        return Err(Failure::usage("--stdin and --each-line - both read stdin"));
    }
    let now_ms = when::now_ms();
    let run_at_ms = run_at.or(delay.map(|delay| when::after(now_ms, delay))).unwrap_or(0);
    let mut ids = Ids { form, keep: waiting.any(), kept: Vec::new(), untold: false, notes: Notes::new(quiet) };
    let sent = if let Some(path) = from_json {
        let source = Source::open(&path)?;
        let mut defaults = options.defaults()?;
        defaults.spec.run_at_ms = run_at_ms;
        let file = Json { source, rules: Rules { defaults, key, now_ms } };
        handover::send_all(gateway, file, |accepted| ids.accepted(accepted)).await?
    } else {
        let spec = options.spec(command)?;
        let spec = v1::TaskSpec { run_at_ms, idempotency_key: key.unwrap_or_default(), ..spec };
        match each_line {
            Some(path) => {
                let file = Lines { source: Source::open(&path)?, spec };
                handover::send_all(gateway, file, |accepted| ids.accepted(accepted)).await?
            }
            None => {
                let spec = v1::TaskSpec { array: array.as_ref().map(on_the_wire), ..spec };
                let accepted = handover::submit(gateway, spec).await?;
                ids.accepted(&[accepted])?;
                ExitStatus::Success
            }
        }
    };
    if sent != ExitStatus::Success {
        return Ok(sent);
    }
    if ids.untold && !quiet {
        ids.explain(gateway).await;
    }
    waiting.wait(gateway, &ids.kept).await
}

fn on_the_wire(ranges: &Ranges) -> v1::TaskArray {
    let ranges = ranges.parts().iter().map(|part| v1::Range::from(*part)).collect();
    v1::TaskArray { ranges, entries: Vec::new() }
}

/// The ids of accepted tasks: printed as they come, and kept if their end is waited for.
struct Ids {
    form: Form,
    keep: bool,
    kept: Vec<TaskId>,
    /// Large batches are answered without reasons.
    untold: bool,
    notes: Notes,
}

impl Ids {
    fn accepted(&mut self, accepted: &[TaskAccepted]) -> io::Result<()> {
        // The first is kept in any case: it may have to be asked why it waits.
        let keep = if self.keep { accepted.len() } else { usize::from(self.kept.is_empty()) };
        self.kept.extend(accepted.iter().take(keep).filter_map(|one| one.task_id.parse::<TaskId>().ok()));
        self.untold |= accepted.len() > 1 && accepted.iter().all(|one| one.state_reason.is_empty());
        for one in accepted {
            self.notes.accepted(one);
        }
        // One write for all: a write for each of a million would take longer than their submit.
        let mut out = io::BufWriter::new(io::stdout().lock());
        for TaskAccepted { task_id, timestamp: _, state_reason, receipt, timestamp_ms: _ } in accepted {
            match self.form {
                Form::Json => {
                    writeln!(out, "{}", json!({"task_id": task_id, "state_reason": state_reason, "receipt": receipt}))?
                }
                Form::Table => writeln!(out, "{task_id}")?,
            }
        }
        out.flush()
    }

    /// Says why the first task can't start: most files are of one kind. It is only a word to the person who waits.
    async fn explain(&mut self, gateway: &Client) {
        let Some(first) = self.kept.first() else { return };
        if let Ok(explained) = gateway.explain(&first.to_string()).await {
            for v1::Waiting { code, text } in &explained.waiting_for {
                self.notes.reason(code, text);
            }
        }
    }
}
