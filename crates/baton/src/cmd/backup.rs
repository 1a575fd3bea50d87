//! `baton backup DIR` and `baton restore DIR`: on the scheduler's machine, beside it or without it.

use crate::{exit::ExitStatus, failure::Failure, printer, printer::Form};
use clap::Args;
use scheduler::backup::Manifest;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Backup {
    /// Where it goes: a directory that doesn't exist, or is empty
    to: PathBuf,
    /// The scheduler's data directory
    #[arg(long, value_name = "DIR", default_value = "./.baton", env = "BATON_DATA_DIR")]
    data_dir: PathBuf,
}

#[derive(Args)]
pub struct Restore {
    /// The backup
    from: PathBuf,
    /// The data directory that it becomes: one that doesn't exist, or is empty
    #[arg(long, value_name = "DIR", default_value = "./.baton", env = "BATON_DATA_DIR")]
    data_dir: PathBuf,
}

pub fn backup(form: Form, args: &Backup) -> Result<ExitStatus, Failure> {
    let manifest = scheduler::backup::backup(&args.data_dir, &args.to).map_err(|error| Failure::error(error.text()))?;
    show(form, &manifest, &format!("backed up to {}", args.to.display()))?;
    if manifest.running > 0 {
        let running = manifest.running;
        printer::note(&format!(
            "{running} task(s) were running: of their output the backup has what had arrived by then"
        ));
    }
    Ok(ExitStatus::Success)
}

pub fn restore(form: Form, args: &Restore) -> Result<ExitStatus, Failure> {
    let manifest =
        scheduler::backup::restore(&args.from, &args.data_dir).map_err(|error| Failure::error(error.text()))?;
    show(form, &manifest, &format!("restored to {}", args.data_dir.display()))?;
    printer::note(&format!(
        "what was acknowledged after commit {0} is not in it; to go on without it, start the scheduler once with:\n  \
         scheduler --data-dir {1} --accept-data-loss {0}",
        manifest.commit,
        args.data_dir.display()
    ));
    Ok(ExitStatus::Success)
}

fn show(form: Form, manifest: &Manifest, done: &str) -> Result<(), Failure> {
    let Manifest { format: _, version, store_id, epoch, commit, schema, taken_ms, tasks, running, files } = manifest;
    match form {
        Form::Json => printer::json(&json!({
            "store_id": store_id, "commit": commit, "epoch": epoch, "schema": schema, "version": version,
            "taken_ms": taken_ms, "tasks": tasks, "running": running, "files": files.len(), "bytes": manifest.bytes(),
        }))?,
        Form::Table => printer::line(&format!(
            "{done}: store {store_id} at commit {commit}, {tasks} task(s), {} file(s), {}",
            files.len(),
            service::show_size(manifest.bytes())
        ))?,
    }
    Ok(())
}
