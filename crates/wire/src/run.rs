//! The answers of a call that submits a task and tells its story.

use crate::v1::{self, run_task_response::Told};
use tonic::Status;

impl v1::RunTaskResponse {
    /// The task is on disk.
    pub fn accepted(accepted: v1::TaskAccepted) -> Self {
        Self { told: Some(Told::Accepted(accepted)) }
    }

    /// Something happened to it.
    pub fn event(event: v1::TaskEvent) -> Self {
        Self { told: Some(Told::Event(event)) }
    }

    /// What every call is answered first.
    ///
    /// # Errors
    /// INTERNAL: it was answered something else, or nothing.
    pub fn into_accepted(self) -> Result<v1::TaskAccepted, Status> {
        match self.told {
            Some(Told::Accepted(accepted)) => Ok(accepted),
            Some(Told::Event(_)) | None => Err(Status::internal("the story began before the task was accepted")),
        }
    }

    /// What follows.
    ///
    /// # Errors
    /// INTERNAL: it is no event.
    pub fn into_event(self) -> Result<v1::TaskEvent, Status> {
        match self.told {
            Some(Told::Event(event)) => Ok(event),
            Some(Told::Accepted(_)) | None => Err(Status::internal("the story was interrupted")),
        }
    }
}
