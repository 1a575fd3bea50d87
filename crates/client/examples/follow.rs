//! Runs a shell task and follows what it writes: `follow [GATEWAY]`.

use client::{
    Client, GATEWAY_DEFAULT, shell,
    v1::{OutputStream, task_event::Event},
};
use futures_util::StreamExt as _;
use std::io::Write as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(&std::env::args().nth(1).unwrap_or_else(|| GATEWAY_DEFAULT.into()))?;
    let task_id = client.submit(shell("echo hello")).await?.task_id;
    let mut story = client.watch(&task_id, "", true).await?;
    while let Some(told) = story.next().await {
        match told?.event {
            Some(Event::Output(output)) if output.stream() == OutputStream::Stdout => {
                std::io::stdout().write_all(&output.data)?;
            }
            Some(Event::State(state)) if state.r#final => {
                println!("{} with exit code {}", state.state, state.exit_code);
            }
            Some(Event::Output(_) | Event::State(_) | Event::Progress(_)) | None => {}
        }
    }
    Ok(())
}
