//! A submit that outlives a gateway that goes away: it is repeated, if that can't make a task twice.

use super::batch::Batch;
use crate::failure::Failure;
use client::{Client, Error, Story};
use domain::Kind;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::v1;

/// A gateway that restarts is back within this.
const REPEAT_FOR: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a submit was given up.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the last try was answered.
    pub error: Error,
    /// An earlier try, or the last one, may have been carried out.
    pub doubt: bool,
}

/// Submits one task. Without an idempotency key it is given one that nobody else has, so that it can be repeated.
pub async fn submit(gateway: &Client, spec: v1::TaskSpec) -> Result<v1::TaskAccepted, Failure> {
    repeat(spec, |spec| gateway.submit(spec)).await
}

/// As [`submit`], with the task's story, output and all.
pub async fn run(gateway: &Client, spec: v1::TaskSpec) -> Result<(v1::TaskAccepted, Story), Failure> {
    repeat(spec, |spec| gateway.run(spec, true)).await
}

async fn repeat<T, F>(mut spec: v1::TaskSpec, call: impl Fn(v1::TaskSpec) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Error>>,
{
    if spec.idempotency_key.is_empty() {
        spec.idempotency_key = own_key()?;
    }
    let mut patience = Patience::new(true, false);
    loop {
        match call(spec.clone()).await {
            Ok(done) => return Ok(done),
            Err(error) => {
                if !patience.again(&error) {
                    return Err(Refusal { error, doubt: patience.doubt }.into());
                }
            }
        }
        sleep(PAUSE).await;
    }
}

/// Submits a batch. `met`: the gateway has answered this command before, so it is worth waiting for.
pub(super) async fn submit_batch(gateway: &Client, batch: &Batch, met: bool) -> Result<Vec<v1::TaskAccepted>, Refusal> {
    let mut patience = Patience::new(batch.is_repeatable(), met);
    loop {
        let tried = match batch.tasks.as_slice() {
            // What is large travels alone, and has more room in a call of its own.
            [only] => match wire::unpack(only.spec.clone()) {
                Ok(spec) => gateway.submit(spec).await.map(|accepted| vec![accepted]),
                Err(error) => Err(Error::Answer(error)),
            },
            _ => gateway.submit_packed(batch.request()).await,
        };
        match tried {
            Ok(accepted) => return Ok(accepted),
            Err(error) => {
                if !patience.again(&error) {
                    return Err(Refusal { error, doubt: patience.doubt });
                }
            }
        }
        sleep(PAUSE).await;
    }
}

/// A key that nobody else has.
pub(super) fn own_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::error(format!("no randomness: {error}")))?;
    Ok(format!("baton-{:032x}", u128::from_le_bytes(bytes)))
}

/// Whether it is tried again.
struct Patience {
    /// Repeating it can't make a task twice.
    repeatable: bool,
    /// The gateway was there a moment ago.
    met: bool,
    /// A try may have been carried out.
    doubt: bool,
    since: Instant,
}

impl Patience {
    fn new(repeatable: bool, met: bool) -> Self {
        Self { repeatable, met, doubt: false, since: Instant::now() }
    }

    fn again(&mut self, error: &Error) -> bool {
        let again = match error.kind() {
            Some(Kind::Unknown) => {
                self.doubt = true;
                self.repeatable
            }
            // Nothing was done. Who finds nobody there at all is told so at once.
            None | Some(Kind::Unavailable | Kind::Exhausted) => self.doubt || self.met,
            Some(
                Kind::Invalid
                | Kind::NotFound
                | Kind::Conflict
                | Kind::Precondition
                | Kind::Unauthenticated
                | Kind::Denied
                | Kind::DataLoss
                | Kind::Internal,
            ) => {
                // An answer: it wasn't carried out before either, or this one would have been accepted.
                self.doubt = false;
                false
            }
        };
        again && self.since.elapsed() < REPEAT_FOR
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if !refusal.doubt {
            return refusal.error.into();
        }
        Self::hint(
            format!("it is not known whether the task was accepted: {}", refusal.error),
            "look for it with: baton list; with --key the same command may be given again",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: Kind) -> Error {
        Error::Answer(domain::Error::new(kind, "x"))
    }

    fn gone() -> Error {
        Error::Unreachable { url: "http://x".into(), why: None }
    }

    #[test]
    fn nobody_there_at_first_is_said_at_once() {
        let mut patience = Patience::new(true, false);
        assert!(!patience.again(&gone()) && !patience.again(&answer(Kind::Unavailable)));
        assert!(!patience.doubt);
    }

    #[test]
    fn a_call_that_broke_is_repeated_until_it_is_answered() {
        let mut patience = Patience::new(true, false);
        assert!(patience.again(&answer(Kind::Unknown)) && patience.again(&gone()) && patience.doubt);
    }

    #[test]
    fn what_could_make_a_task_twice_is_not_repeated() {
        let mut patience = Patience::new(false, true);
        assert!(patience.again(&gone()), "it was not sent");
        assert!(!patience.again(&answer(Kind::Unknown)) && patience.doubt);
    }

    #[test]
    fn a_definite_answer_leaves_no_doubt() {
        let mut patience = Patience::new(true, true);
        assert!(patience.again(&answer(Kind::Unknown)));
        assert!(!patience.again(&answer(Kind::Conflict)) && !patience.doubt);
    }

    #[test]
    fn own_keys_differ() {
        assert_ne!(own_key().unwrap(), own_key().unwrap());
    }
}
