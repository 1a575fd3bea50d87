//! The table of tokens, followed: what the gateway judges its callers by. While the scheduler is away it stays as it is.

use super::Upstream;
use domain::TokenId;
use service::{Gate, Readiness};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::watch;
use wire::v1::WatchTokensRequest;

/// The name of this condition on /readyz.
const TOKENS: &str = "tokens";
/// Between two tries to follow it.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer waits for the table that it is about. The scheduler sends that at once.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// Which tokens the gate knows, and whether each is revoked; `None`: it was told of none yet.
pub(super) type Told = watch::Sender<Option<BTreeMap<TokenId, bool>>>;

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

    /// Until the gate knows this token, or knows that it is revoked: who makes one and uses it at once is let in, and who
    /// revokes one sees it refused. It isn't waited for longer than a moment.
    pub(crate) async fn until_told(&self, token: TokenId, revoked: bool) {
        let mut told = self.told.subscribe();
        let knows = told.wait_for(|known| {
            known.as_ref().is_none_or(|known| match known.get(&token) {
                Some(is_revoked) => *is_revoked == revoked,
                None => revoked,
            })
        });
        // Then it will know a moment later.
        let _ = tokio::time::timeout(TOLD_WITHIN, knows).await;
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
                            let known = tokens.iter().map(|token| (token.id, token.revoked.is_some())).collect();
                            self.told.send_replace(Some(known));
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
