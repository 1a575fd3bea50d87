//! A reader as a program of its own, so that it can be killed: it appends a task's output to a file, and goes on where
//! the file ends.

use super::load::block_on;
use crate::{Cluster, Process, away, binary};
use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};
use wire::v1;

/// The first argument of `chaos` that makes it a reader: `reader GATEWAY TASK FILE`.
pub const ARGUMENT: &str = "reader";

/// A reader and its file.
pub(super) struct Reader {
    process: Process,
    command: Box<dyn Fn() -> Command>,
    dir: PathBuf,
    file: PathBuf,
}

impl Reader {
    /// Starts reading a task's first attempt.
    pub fn start(cluster: &Cluster, id: &str, name: &str) -> Self {
        let (dir, file) = (cluster.dir().to_owned(), cluster.dir().join(name));
        let (gateway, id, to) = (cluster.gateway_address.to_string(), id.to_owned(), file.clone());
        let command = Box::new(move || {
            let mut command = Command::new(binary("chaos"));
            command.args([ARGUMENT, &gateway, &id]).arg(&to);
            command
        });
        Self { process: Process::start("reader", &dir, &mut command()), command, dir, file }
    }

    /// `kill -9`, and another one goes on.
    pub fn kill_and_restart(&mut self) {
        self.process.kill9();
        self.process = Process::start("reader", &self.dir, &mut (self.command)());
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |meta| meta.len())
    }

    /// Whether it is through, or has given up.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Waits for its end; what it has read, or what it complained about.
    pub fn ended(mut self) -> Result<PathBuf, String> {
        let status = self.process.ended();
        if status.success() { Ok(self.file) } else { Err(self.process.log()) }
    }
}

/// What `chaos reader GATEWAY TASK FILE` does.
pub fn main(args: &[String]) -> ExitCode {
    let [gateway, task, file] = args else { return ExitCode::from(2) };
    let Ok(gateway) = gateway.parse() else { return ExitCode::from(2) };
    match block_on(read(gateway, task, Path::new(file))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("reader: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn read(gateway: SocketAddr, task: &str, path: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file: File = OpenOptions::new().create(true).append(true).open(path).map_err(said)?;
    let mut offset = file.metadata().map_err(said)?.len();
    let gateway = crate::tasks::connect(gateway);
    loop {
        let (task_id, stream) = (task.to_owned(), v1::OutputStream::Stdout.into());
        let request = v1::ReadOutputRequest { task_id, stream, offset, follow: true, attempt: 1 };
        let failed = match gateway.clone().read_output(request).await {
            Err(status) => status,
            Ok(response) => {
                let mut chunks = response.into_inner();
                loop {
                    match chunks.message().await {
                        Ok(None) => return Ok(()),
                        Err(status) => break status,
                        Ok(Some(chunk)) => offset = take(&mut file, chunk, offset)?,
                    }
                }
            }
        };
        if !away(&failed) {
            return Err(format!("{failed:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Appends what is new of a chunk: the first one may begin before the offset that was asked for.
fn take(file: &mut File, chunk: v1::OutputChunk, offset: u64) -> Result<u64, String> {
    let v1::OutputChunk { attempt: _, offset: begins, data, dropped } = chunk;
    if dropped > 0 {
        return Err(format!("{dropped} bytes were dropped at {begins}"));
    }
    let known = offset.checked_sub(begins).ok_or_else(|| format!("a gap: {begins} after {offset}"))?;
    let new = usize::try_from(known).ok().and_then(|known| data.get(known..)).unwrap_or_default();
    file.write_all(new).map_err(|error| error.to_string())?;
    Ok(offset + new.len() as u64)
}
