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
        let accepted = self.answer(self.gateway.clone().submit_task(spec).await)?;
        self.receipts.keep(&accepted);
        Ok(accepted)
    }

    /// Submits up to 10,000 tasks (4 MiB) in one durable commit, all or none. The answers are in the tasks' order.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_many(&self, tasks: Vec<v1::TaskSpec>) -> Result<Vec<v1::TaskAccepted>> {
        self.submit_packed(v1::SubmitTasksRequest::from(tasks)).await
    }

    /// As [`Self::submit_many`], for tasks that are encoded already.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_packed(&self, request: v1::SubmitTasksRequest) -> Result<Vec<v1::TaskAccepted>> {
        let accepted = self.answer(self.gateway.clone().submit_tasks(request).await)?.accepted()?;
        accepted.last().into_iter().for_each(|last| self.receipts.keep(last));
        Ok(accepted)
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

    /// Cancels all unfinished tasks that match and were accepted before the call. Not waited for: what runs is final when its
    /// processes are gone. Repeating it is harmless.
    ///
    /// # Errors
    /// `Invalid` names the field, or says that none is set.
    pub async fn cancel_many(&self, request: v1::CancelTasksRequest) -> Result<v1::CancelTasksResponse> {
        self.answer(self.gateway.clone().cancel_tasks(request).await)
    }

    /// Runs a final task again as a new one, in the place of the old one; of an array, its failed and timed-out members.
    ///
    /// # Errors
    /// `NotFound`; `Precondition`: it is not final, or an array of which no member failed.
    pub async fn retry(&self, task_id: &str) -> Result<v1::TaskAccepted> {
        let request = v1::RetryTaskRequest { task_id: task_id.into() };
        let accepted = self.answer(self.gateway.clone().retry_task(request).await)?;
        self.receipts.keep(&accepted);
        Ok(accepted)
    }

    /// Why a task is not running.
    ///
    /// # Errors
    /// `Invalid`: not an id; `NotFound`.
    pub async fn explain(&self, task_id: &str) -> Result<v1::ExplainTaskResponse> {
        let request = v1::ExplainTaskRequest { task_id: task_id.into() };
        self.answer(self.gateway.clone().explain_task(request).await)
    }

    /// The worker takes nothing new and gives back what it has not started or, with `undo`, may take tasks again. Tells how
    /// many attempts it still holds.
    ///
    /// # Errors
    /// `NotFound`: no such worker.
    pub async fn drain(&self, worker_id: &str, undo: bool) -> Result<u32> {
        let request = v1::DrainWorkerRequest { worker_id: worker_id.into(), undo };
        self.answer(self.gateway.clone().drain_worker(request).await).map(|answer| answer.running)
    }

    /// Forgets a worker that is not connected. Tells how many attempts are lost thereby.
    ///
    /// # Errors
    /// `NotFound`: no such worker; `Precondition`: it is connected.
    pub async fn forget(&self, worker_id: &str) -> Result<u32> {
        let request = v1::ForgetWorkerRequest { worker_id: worker_id.into() };
        self.answer(self.gateway.clone().forget_worker(request).await).map(|answer| answer.lost)
    }

    /// The queues that have tasks or are paused, by name.
    ///
    /// # Errors
    /// `Unavailable`: no scheduler.
    pub async fn queues(&self) -> Result<Vec<v1::QueueInfo>> {
        let answer = self.answer(self.gateway.clone().list_queues(v1::ListQueuesRequest {}).await);
        answer.map(|answer| answer.queues)
    }

    /// Nothing of the queue is given to workers any more or, with `resume`, again. What runs runs on.
    ///
    /// # Errors
    /// `Invalid`: no queue can be called so.
    pub async fn pause(&self, queue: &str, resume: bool) -> Result<()> {
        let request = v1::PauseQueueRequest { queue: queue.into(), resume };
        self.answer(self.gateway.clone().pause_queue(request).await).map(|v1::PauseQueueResponse {}| ())
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

    /// Makes a token. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// `Invalid` names the field; `Exhausted`: there are too many.
    pub async fn create_token(&self, request: v1::CreateTokenRequest) -> Result<v1::CreateTokenResponse> {
        self.answer(self.gateway.clone().create_token(request).await)
    }

    /// All tokens, by their time, without their texts.
    ///
    /// # Errors
    /// `Unavailable`: no scheduler.
    pub async fn tokens(&self) -> Result<Vec<v1::TokenInfo>> {
        self.answer(self.gateway.clone().list_tokens(v1::ListTokensRequest {}).await).map(|answer| answer.tokens)
    }

    /// The token is good for nothing any more; its streams end.
    ///
    /// # Errors
    /// `NotFound`: no such token.
    pub async fn revoke_token(&self, id: &str) -> Result<v1::TokenInfo> {
        let request = v1::RevokeTokenRequest { id: id.into() };
        let answer = self.answer(self.gateway.clone().revoke_token(request).await)?;
        Ok(answer.token.unwrap_or_default())
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
