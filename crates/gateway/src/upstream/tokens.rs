//! The table of tokens, followed: what the gateway judges its callers by. While the scheduler is away it stays as it is.

use super::Upstream;
use service::{Gate, Readiness};
use std::time::Duration;
use wire::v1::WatchTokensRequest;

/// The name of this condition on /readyz.
const TOKENS: &str = "tokens";
/// Between two tries to follow it.
const PAUSE: Duration = Duration::from_secs(1);

impl Upstream {
    /// Tells the gate what tokens there are, as long as it lives. Never returns.
    pub(crate) async fn tell_tokens(&self, gate: &Gate, readiness: &Readiness) {
        if !gate.is_on() {
            return std::future::pending().await;
        }
        let mut said = String::new();
        loop {
            let why = self.follow(gate, readiness).await;
            readiness.waiting(TOKENS, why.clone());
            // Once for each reason: a scheduler may be away for hours.
            if why != said {
                tracing::warn!(reason = why, "The table of tokens cannot be followed; those known so far hold");
                said = why;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Why it doesn't go on.
    async fn follow(&self, gate: &Gate, readiness: &Readiness) -> String {
        let mut tables = match self.streams.clone().watch_tokens(WatchTokensRequest {}).await {
            Ok(tables) => tables.into_inner(),
            Err(status) => return self.error(&status).text().to_owned(),
        };
        loop {
            match tables.message().await {
                Ok(Some(table)) => {
                    match table.tokens.into_iter().map(wire::token).collect::<domain::Result<Vec<_>>>() {
                        Ok(tokens) => {
                            gate.set(&tokens);
                            readiness.done(TOKENS);
                        }
                        Err(error) => return error.text().to_owned(),
                    }
                }
                Ok(None) => return "the scheduler ended the stream".to_owned(),
                Err(status) => return self.error(&status).text().to_owned(),
            }
        }
    }
}
