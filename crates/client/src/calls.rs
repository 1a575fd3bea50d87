//! The calls that are answered once.

use crate::{Client, Error, Result, v1};
use tonic::{Response, Status};

impl Client {
    /// Submits one task. When it returns, the task is on disk.
    ///
    /// # Errors
    /// `Invalid` names the field; `Conflict`: the idempotency key was used with another content; `Unknown`: repeat with the
    /// same idempotency key.
    pub async fn submit(&self, spec: v1::TaskSpec) -> Result<v1::TaskAccepted> {
        self.answer(self.gateway.clone().submit_task(spec).await)
    }

    /// Submits up to 10,000 tasks (4 MiB) in one durable commit, all or none. The answers are in the tasks' order.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_many(&self, tasks: Vec<v1::TaskSpec>) -> Result<Vec<v1::TaskAccepted>> {
        let request = v1::SubmitTasksRequest { tasks };
        self.answer(self.gateway.clone().submit_tasks(request).await).map(|answer| answer.tasks)
    }

    /// One task as it stands.
    ///
    /// # Errors
    /// `Invalid`: not an id ([`Self::resolve`] finds it from less); `NotFound`.
    pub async fn get(&self, task_id: &str) -> Result<v1::Task> {
        let request = v1::GetTaskRequest { task_id: task_id.into() };
        self.answer(self.gateway.clone().get_task(request).await)
    }

    /// A page of tasks, newest first.
    ///
    /// # Errors
    /// `Invalid` names the field.
    pub async fn list(&self, request: v1::ListTasksRequest) -> Result<v1::ListTasksResponse> {
        self.answer(self.gateway.clone().list_tasks(request).await)
    }

    /// Cancels a task. With `wait` the answer comes when the task is final, after 10 s at the latest.
    ///
    /// # Errors
    /// `NotFound`; `Precondition`: it is final already.
    pub async fn cancel(&self, task_id: &str, wait: bool) -> Result<v1::CancelTaskResponse> {
        let request = v1::CancelTaskRequest { task_id: task_id.into(), wait };
        self.answer(self.gateway.clone().cancel_task(request).await)
    }

    /// The workers known to the scheduler.
    ///
    /// # Errors
    /// `Unavailable`: no scheduler.
    pub async fn workers(&self) -> Result<Vec<v1::WorkerInfo>> {
        let answer = self.answer(self.gateway.clone().list_workers(v1::ListWorkersRequest {}).await);
        answer.map(|answer| answer.workers)
    }

    /// The id meant by `last`, by a prefix or by a suffix of an id.
    ///
    /// # Errors
    /// `NotFound`: no task; `Precondition`: several.
    pub async fn resolve(&self, text: &str) -> Result<String> {
        let request = v1::ResolveTaskRequest { text: text.into() };
        self.answer(self.gateway.clone().resolve_task(request).await).map(|answer| answer.task_id)
    }

    /// Whether the gateway can do its job, and its version.
    ///
    /// # Errors
    /// [`Error::Unreachable`] above all.
    pub async fn health(&self) -> Result<v1::HealthCheckResponse> {
        self.answer(self.gateway.clone().health_check(v1::HealthCheckRequest {}).await)
    }

    pub(crate) fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T> {
        answer.map(Response::into_inner).map_err(|status| Error::of(&status, &self.url))
    }
}
