//! A worker with a handler of its own: `worker --scheduler http://127.0.0.1:50052 --id w1`.

use std::process::ExitCode;
use worker::{Embedding, HandlerContext, Handlers};

fn main() -> ExitCode {
    let handlers = Handlers::default().with_fn("reverse", reverse);
    worker::main(std::env::args_os(), Embedding::of(handlers))
}

/// Reverses its payload; asks now and then whether it should end.
async fn reverse(context: HandlerContext, payload: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut turned = Vec::with_capacity(payload.len());
    for (number, byte) in payload.iter().rev().enumerate() {
        if context.is_cancelled() {
            return Err("cancelled".into());
        }
        turned.push(*byte);
        let percent = 100 * (number + 1) / payload.len();
        context.progress(u8::try_from(percent).unwrap_or(100), &format!("{} bytes", number + 1));
        // Others on this thread have their turn.
        tokio::task::yield_now().await;
    }
    Ok(turned)
}
