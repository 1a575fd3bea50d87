//! Follows a task's story to its end.

use crate::{failure::Failure, printer};
use client::Client;
use domain::Kind;
use std::{io, time::Duration};
use tokio::time::sleep;
use tokio_stream::StreamExt;
use wire::v1::{self, task_event::Event};

/// Whoever follows a task waits as long as it takes; Ctrl-C is at hand.
pub const PATIENCE: Duration = Duration::MAX;
/// Between two tries to find the gateway again.
const PAUSE: Duration = Duration::from_millis(200);

/// How a task ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Its terminal state.
    pub status: v1::TaskStatus,
    /// The code; 128+n for signal n; −1 if it never started or timed out.
    pub exit_code: i32,
    /// Why it ended so.
    pub message: String,
}

/// Shows each event, up to the final one. Gateway and scheduler may go away and come back in between.
pub async fn follow(
    gateway: &Client,
    id: &str,
    output: bool,
    show: impl FnMut(&v1::TaskEvent) -> io::Result<()>,
) -> Result<End, Failure> {
    read(open(gateway, id, output).await?, id, show).await
}

/// As [`follow`], of a story that is open.
pub async fn read(
    mut story: client::Story,
    id: &str,
    mut show: impl FnMut(&v1::TaskEvent) -> io::Result<()>,
) -> Result<End, Failure> {
    while let Some(event) = story.next().await {
        let event = event?;
        show(&event)?;
        if let Some(Event::State(state)) = event.event
            && state.r#final
        {
            return Ok(End { status: state.status(), exit_code: state.exit_code, message: state.message });
        }
    }
    Err(Failure::error(format!("the story of task {id} ended before the task did")))
}

/// Opens the story. The task is known to exist: a gateway that is away now is waited for, as it is later on.
async fn open(gateway: &Client, id: &str, output: bool) -> Result<client::Story, Failure> {
    let waiting = gateway.clone().patience(PATIENCE);
    loop {
        match waiting.watch(id, "", output).await {
            Ok(story) => return Ok(story),
            Err(error) if matches!(error.kind(), None | Some(Kind::Unavailable | Kind::Unknown)) => sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes an event's output to the stream it came from.
pub fn print_output(event: &v1::TaskEvent) -> io::Result<()> {
    match &event.event {
        Some(Event::Output(output)) => print_bytes(output.stream(), &output.data, output.dropped),
        Some(Event::State(_) | Event::Progress(_)) | None => Ok(()),
    }
}

/// Writes bytes to the stream they came from, and says where some are missing.
pub fn print_bytes(stream: v1::OutputStream, bytes: &[u8], dropped: u64) -> io::Result<()> {
    if dropped > 0 {
        printer::note(&format!("baton: {dropped} bytes of output were dropped here"));
    }
    match stream {
        v1::OutputStream::Stderr => printer::bytes(printer::Stream::Err, bytes),
        v1::OutputStream::Stdout | v1::OutputStream::Unspecified => printer::bytes(printer::Stream::Out, bytes),
    }
}
