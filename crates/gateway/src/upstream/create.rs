//! Calls that make tasks, and outlive a broken connection: the ids make them repeatable (PROTOCOL P2).
//!
//! Once a call may have been carried out, its ids are kept. Before that they are drawn anew whenever the scheduler says that
//! it changed nothing: two gateways may have drawn the same row key (PROTOCOL P1).

use super::{CALL_WITHIN, Upstream};
use crate::app::Ids;
use domain::{Error, Kind, Result};
use prost::bytes::Bytes;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Response, Status};
use wire::v1::{RetryRequest, SubmitEntry, SubmitRequest, SubmitResponse, TaskAccepted};

/// A scheduler that restarts is back within this; callers don't wait longer for one that doesn't.
const REPEAT_FOR: Duration = Duration::from_secs(2);
/// Pause before a repetition: short, for the caller waits.
const PAUSE: Duration = Duration::from_millis(50);

/// A call that makes tasks under ids that it brings along.
pub(crate) trait Creating: Clone + Send {
    /// Its answer.
    type Answer: Send;
    /// Makes the call.
    fn call(self, upstream: &Upstream) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
    /// True once an earlier try may have been carried out.
    fn repeated(&mut self) -> &mut bool;
    /// Takes new ids: the old ones were not accepted.
    fn renew(&mut self, ids: &Ids) -> Result<()>;
}

impl Creating for SubmitRequest {
    type Answer = SubmitResponse;
    async fn call(self, upstream: &Upstream) -> Result<Response<SubmitResponse>, Status> {
        upstream.calls().submit(self).await
    }
    fn repeated(&mut self) -> &mut bool {
        &mut self.repeated_call
    }
    fn renew(&mut self, ids: &Ids) -> Result<()> {
        self.tasks.iter_mut().try_for_each(|task| ids.renew(&mut task.task_id))
    }
}

impl Creating for RetryRequest {
    type Answer = TaskAccepted;
    async fn call(self, upstream: &Upstream) -> Result<Response<TaskAccepted>, Status> {
        upstream.calls().retry(self).await
    }
    fn repeated(&mut self) -> &mut bool {
        &mut self.repeated_call
    }
    fn renew(&mut self, ids: &Ids) -> Result<()> {
        ids.renew(&mut self.new_task_id)
    }
}

/// What one try has shown.
enum Tried<T> {
    Done(Result<T>),
    /// Nobody was there.
    Away(Error),
    /// The scheduler could not do it now, and changed nothing.
    Refused(Error),
    /// It may have been carried out.
    Perhaps,
}

impl Upstream {
    /// Submits a task. `patient` waits for a scheduler that is not there.
    pub(crate) async fn submit_one(&self, task: SubmitEntry, patient: bool, ids: &Ids) -> Result<TaskAccepted> {
        let accepted = self.submit(vec![task], false, patient, ids).await?.pop();
        wire::unpack_accepted(accepted.unwrap_or_default())
    }

    /// Submits these tasks: all or none. Each answer is an encoded `TaskAccepted`. `patient` waits for a scheduler that is not there.
    pub(crate) async fn submit(
        &self,
        tasks: Vec<SubmitEntry>,
        brief: bool,
        patient: bool,
        ids: &Ids,
    ) -> Result<Vec<Bytes>> {
        let asked = tasks.len();
        let request = SubmitRequest { tasks, repeated_call: false, brief };
        let accepted = self.create(request, patient, ids).await?.tasks;
        if accepted.len() == asked {
            return Ok(accepted);
        }
        Err(Error::internal(format!("the scheduler answered {} of {asked} tasks", accepted.len())))
    }

    /// Makes a call that makes tasks. `patient` waits for a scheduler that is not there.
    pub(crate) async fn create<C: Creating>(&self, mut request: C, patient: bool, ids: &Ids) -> Result<C::Answer> {
        let begun = Instant::now();
        loop {
            let repeated = *request.repeated();
            // Without an earlier try nothing is in doubt, and who finds nobody there is told so at once.
            let failed = match self.attempt(&request, patient || repeated).await {
                // It isn't done by this try; whether it was by an earlier one is as open as before.
                Tried::Done(Err(error)) if repeated && error.kind() == Kind::Exhausted => error,
                Tried::Done(result) => return result,
                Tried::Away(error) => error,
                Tried::Refused(error) => {
                    if !repeated {
                        request.renew(ids)?;
                    }
                    error
                }
                Tried::Perhaps => {
                    *request.repeated() = true;
                    unknown()
                }
            };
            if begun.elapsed() >= REPEAT_FOR {
                return Err(if *request.repeated() { unknown() } else { failed });
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt<C: Creating>(&self, request: &C, wait: bool) -> Tried<C::Answer> {
        let status = match timeout(CALL_WITHIN, request.clone().call(self)).await {
            Err(_) => return Tried::Perhaps,
            Ok(Ok(response)) => return Tried::Done(Ok(response.into_inner())),
            Ok(Err(status)) => status,
        };
        if wire::unsent(&status) {
            return if wait { Tried::Away(self.away()) } else { Tried::Done(Err(self.away())) };
        }
        if wire::broken(&status) {
            return Tried::Perhaps;
        }
        let error = self.error(&status);
        match error.kind() {
            Kind::Unknown => Tried::Perhaps,
            Kind::Unavailable => Tried::Refused(error),
            Kind::Invalid
            | Kind::NotFound
            | Kind::Conflict
            | Kind::Precondition
            | Kind::Exhausted
            | Kind::Unauthenticated
            | Kind::Denied
            | Kind::DataLoss
            | Kind::Internal => Tried::Done(Err(error)),
        }
    }
}

fn unknown() -> Error {
    Error::new(Kind::Unknown, "the outcome is unknown: repeat with the same idempotency key")
}
