//! Cancels a task that runs: `cancel [GATEWAY]`.

use client::{
    Client, GATEWAY_DEFAULT, shell,
    v1::{TaskSpec, task_event::Event},
};
use futures_util::StreamExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(&std::env::args().nth(1).unwrap_or_else(|| GATEWAY_DEFAULT.into()))?;
    // 0: without limit.
    let spec = TaskSpec { timeout_ms: Some(0), ..shell("sleep 1000") };
    let task_id = client.submit(spec).await?.task_id;
    let mut story = client.watch(&task_id, "", false).await?;
    while let Some(told) = story.next().await {
        if matches!(told?.event, Some(Event::State(state)) if state.state == "running") {
            break;
        }
    }
    client.cancel(&task_id, true).await?;
    println!("{}", client.wait(&task_id).await?.state);
    Ok(())
}
