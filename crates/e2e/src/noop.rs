//! A worker whose handler does nothing, and so lets benches measure everything else. It is the bench's own program.

use crate::{Cluster, Process};
use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};
use worker::{Embedding, Handler, HandlerContext, HandlerFuture, Handlers};

struct Noop;

impl Handler for Noop {
    fn name(&self) -> &str {
        "noop"
    }
    fn run(&self, _: HandlerContext, _: Vec<u8>) -> HandlerFuture {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// What a bench does when its first argument is `worker`.
pub fn noop_worker(args: impl Iterator<Item = OsString>) -> ExitCode {
    let handlers = Handlers::default().with(Noop);
    worker::main(args, Embedding { handlers, keeper_arguments: &["worker", "keeper"], ..Embedding::default() })
}

/// Starts this very program as worker `w0` with so many slots.
///
/// # Panics
/// If it doesn't start.
pub fn start_noop_worker(cluster: &Cluster, slots: u32) -> Process {
    let program = std::env::current_exe().unwrap_or_else(|e| panic!("who am I? {e}"));
    let mut command = Command::new(program);
    command.args(["worker", "--listen", "127.0.0.1:0", "--id", "w0", "--slots", &slots.to_string(), "--data-dir"]);
    command.arg(cluster.dir().join("w0")).args(["--scheduler", &format!("http://{}", cluster.scheduler_address)]);
    let mut worker = Process::start("w0", cluster.dir(), &mut command);
    worker.listening();
    worker
}
