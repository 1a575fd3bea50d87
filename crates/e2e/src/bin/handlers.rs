//! A worker with a handler that tests watch and hold: `share` appends task, attempt and worker to `$WITNESS`; if its
//! payload begins with `late` it then waits for the file `$GATE`; it answers with the payload reversed. `place-rust` answers
//! with its place in a trace. `tests/clients/handlers.py` has the same in Python.

use std::{fs::File, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};
use worker::{Embedding, HandlerContext, Handlers};

fn main() -> ExitCode {
    let handlers = Handlers::default().with_fn("share", share).with_fn("place-rust", place);
    worker::main(std::env::args_os(), Embedding::of(handlers))
}

async fn place(context: HandlerContext, _: Vec<u8>) -> Result<Vec<u8>, String> {
    Ok(format!("{} {}", context.traceparent(), context.tracestate()).into_bytes())
}

async fn share(context: HandlerContext, payload: Vec<u8>) -> Result<Vec<u8>, String> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let line = format!("{} {} {}\n", context.task_id(), context.attempt().no, variable("WORKER")?);
    let witness = File::options().append(true).create(true).open(variable("WITNESS")?);
    witness.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|error| error.to_string())?;
    let gate = PathBuf::from(variable("GATE")?);
    while payload.starts_with(b"late") && !gate.exists() {
        if context.is_cancelled() {
            return Err("cancelled".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(payload.into_iter().rev().collect())
}
