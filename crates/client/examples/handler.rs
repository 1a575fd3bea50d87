//! Has a handler work, and prints its result: `handler [GATEWAY]`. The worker's example has the handler.

use client::{Client, GATEWAY_DEFAULT, handler};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(&std::env::args().nth(1).unwrap_or_else(|| GATEWAY_DEFAULT.into()))?;
    let task_id = client.submit(handler("reverse", "stressed")).await?.task_id;
    let task = client.wait(&task_id).await?;
    println!("{}", String::from_utf8_lossy(&task.result));
    Ok(())
}
