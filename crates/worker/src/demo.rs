//! The demo handler: lets a first task of any name finish where nobody is there to do it (PROTOCOL P7).

use crate::{Handler, HandlerContext, handler::HandlerFuture};
use std::time::Duration;

/// What it says, so that nobody takes it for work done.
const NOTHING: &str = "demo handler: nothing was done";
/// Between two steps: progress shows at most once a second.
const STEP: Duration = Duration::from_millis(1_050);

/// Answers with the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demo;

impl Handler for Demo {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn run(&self, context: HandlerContext, payload: Vec<u8>) -> HandlerFuture {
        Box::pin(async move {
            tracing::warn!(task_id = %context.attempt().task, "{NOTHING}: no worker offers a handler of this name");
            for percent in [25, 50, 75] {
                context.progress(percent, NOTHING);
                tokio::select! {
                    () = tokio::time::sleep(STEP) => {}
                    () = context.cancelled() => return Err("cancelled".to_owned()),
                }
            }
            context.progress(100, NOTHING);
            Ok(payload)
        })
    }
}
