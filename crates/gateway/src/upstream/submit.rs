//! A submit that outlives a broken connection: the ids make it repeatable (PROTOCOL P2).
//!
//! Once a call may have been carried out, its ids are kept. Before that they are drawn anew whenever the scheduler says that
//! it changed nothing: two gateways may have drawn the same row key (PROTOCOL P1).

use super::{CALL_WITHIN, Upstream};
use crate::app::Ids;
use domain::{Error, Kind, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use wire::v1::{SubmitEntry, SubmitRequest, TaskAccepted};

/// A scheduler that restarts is back within this; callers don't wait longer for one that doesn't.
const REPEAT_FOR: Duration = Duration::from_secs(2);
/// Pause before a repetition: short, for the caller waits.
const PAUSE: Duration = Duration::from_millis(50);

/// What one try has shown.
enum Tried {
    Done(Result<Vec<TaskAccepted>>),
    /// Nobody was there.
    Away(Error),
    /// The scheduler could not do it now, and changed nothing.
    Refused(Error),
    /// It may have been carried out.
    Perhaps,
}

impl Upstream {
    /// Submits these tasks: all or none. `patient` waits for a scheduler that is not there.
    pub(crate) async fn submit(
        &self,
        tasks: Vec<SubmitEntry>,
        brief: bool,
        patient: bool,
        ids: &Ids,
    ) -> Result<Vec<TaskAccepted>> {
        let begun = Instant::now();
        let mut request = SubmitRequest { tasks, repeated_call: false, brief };
        loop {
            let failed = match self.try_submit(&request, patient).await {
                Tried::Done(result) => return result,
                Tried::Away(error) => error,
                Tried::Refused(error) => {
                    if !request.repeated_call {
                        ids.renew(&mut request.tasks)?;
                    }
                    error
                }
                Tried::Perhaps => {
                    request.repeated_call = true;
                    unknown()
                }
            };
            if begun.elapsed() >= REPEAT_FOR {
                return Err(if request.repeated_call { unknown() } else { failed });
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_submit(&self, request: &SubmitRequest, patient: bool) -> Tried {
        let status = match timeout(CALL_WITHIN, self.calls().submit(request.clone())).await {
            Err(_) => return Tried::Perhaps,
            Ok(Ok(response)) => return Tried::Done(complete(response.into_inner().tasks, request.tasks.len())),
            Ok(Err(status)) => status,
        };
        if wire::unsent(&status) {
            // Without an earlier try nothing is in doubt, and who finds nobody there is told so at once.
            let wait = patient || request.repeated_call;
            return if wait { Tried::Away(self.away()) } else { Tried::Done(Err(self.away())) };
        }
        if wire::broken(&status) {
            return Tried::Perhaps;
        }
        let error = wire::error(&status);
        match error.kind() {
            Kind::Unknown => Tried::Perhaps,
            Kind::Unavailable => Tried::Refused(error),
            Kind::Invalid
            | Kind::NotFound
            | Kind::Conflict
            | Kind::Precondition
            | Kind::Exhausted
            | Kind::Denied
            | Kind::Internal => Tried::Done(Err(error)),
        }
    }
}

fn complete(accepted: Vec<TaskAccepted>, asked: usize) -> Result<Vec<TaskAccepted>> {
    if accepted.len() == asked {
        return Ok(accepted);
    }
    Err(Error::internal(format!("the scheduler answered {} of {asked} tasks", accepted.len())))
}

fn unknown() -> Error {
    Error::new(Kind::Unknown, "the outcome is unknown: repeat with the same idempotency key")
}
