//! Submits a hundred tasks at once and waits for all of them: `many [GATEWAY]`.

use client::{Client, GATEWAY_DEFAULT, shell};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(&std::env::args().nth(1).unwrap_or_else(|| GATEWAY_DEFAULT.into()))?;
    let specs = (0..100).map(|number| shell(&format!("echo {number}"))).collect();
    let mut completed = 0;
    for accepted in client.submit_many(specs).await? {
        let task = client.wait(&accepted.task_id).await?;
        completed += usize::from(task.state == "completed");
    }
    println!("{completed} completed");
    Ok(())
}
