//! The scheduler's door: decode, call, encode. Reads go to the store and the story, writes to the mailbox.

mod cancel;
mod cancel_tasks;
mod drain;
mod enrol;
mod explain;
mod forget;
mod get;
mod legacy;
pub(crate) use legacy::assignment;
mod list;
mod output;
mod pause;
mod queues;
mod register;
mod resolve;
mod retry;
mod run;
mod submit;
mod tokens;
mod watch;
mod workers;

use crate::{disk::Disk, enrol::Enrolling, gap::Receipts, mailbox::Handle, story, tokens::Tokens, view::View};
use domain::{Error, Kind, Result, limits};
use futures_util::{Stream, StreamExt as _};
use service::{Caller, Readiness, Stopping, auth::Note, trace::Tracer};
use std::{pin::Pin, sync::Arc};
use store::Reader;
use tokio::sync::watch as views;
use tonic::{Request, Response, Status, Streaming};
use wire::v1;

/// Everything that a call may use.
#[derive(Clone)]
pub(crate) struct Door {
    pub mailbox: Handle,
    pub reader: Arc<dyn Reader>,
    pub story: story::Handle,
    pub views: views::Receiver<View>,
    pub disk: Arc<Disk>,
    pub receipts: Receipts,
    pub tokens: Tokens,
    /// Workers can join, by this CA.
    pub enrolling: Option<Arc<Enrolling>>,
    pub readiness: Readiness,
    pub stopping: Stopping,
    pub tracer: Tracer,
}

type Answer<T> = std::result::Result<Response<T>, Status>;
type Out<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

impl Door {
    /// Reads from the store, off the event loop.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Reader) -> std::result::Result<T, store::Failure> + Send + 'static,
    ) -> Result<T> {
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || ask(reader.as_ref())).await;
        read.map_err(|_| Error::unavailable("the scheduler is stopping"))?.map_err(|failure| {
            tracing::error!(error = %failure, "Read failed");
            Error::internal("the store could not be read")
        })
    }

    /// A stream of answers. When the service stops it is cut with UNAVAILABLE: an end without an error would tell a reader
    /// that nothing follows.
    fn stream<T: Send + 'static>(&self, items: impl Stream<Item = Result<T>> + Send + 'static) -> Answer<Out<T>> {
        let items = items.map(|item| item.map_err(|error| wire::status(&error)));
        Ok(Response::new(Box::pin(items)))
    }
}

/// A worker said what none says: its stream ends.
pub(crate) fn refused(stream: &'static str, error: &Error) {
    match error.kind() {
        Kind::Unavailable | Kind::Internal => {}
        _else => metrics::counter!("baton_worker_streams_refused_total", "stream" => stream).increment(1),
    }
}

fn answer<T>(result: Result<T>) -> Answer<T> {
    result.map(Response::new).map_err(|error| wire::status(&error))
}

/// What holds of a worker's stream: who may speak on it.
pub(super) struct Bound {
    worker: Option<String>,
    note: Option<Note>,
}

impl Bound {
    fn of<T>(request: &Request<T>) -> Self {
        let extensions = request.extensions();
        let worker = extensions.get::<Caller>().and_then(Caller::worker).map(ToOwned::to_owned);
        Self { worker, note: extensions.get::<Note>().cloned() }
    }

    /// A caller who may be one worker only can't speak for another.
    fn check(&self, worker: &str) -> Result<()> {
        let Some(bound) = self.worker.as_deref().filter(|bound| *bound != worker) else { return Ok(()) };
        tracing::warn!(worker, bound, "Worker refused: its token or certificate is that of another one");
        self.write(worker, "refused");
        Err(Error::new(Kind::Denied, format!("worker_id: this token or certificate is that of the worker {bound:?}")))
    }

    /// For the audit log.
    fn write(&self, worker: &str, outcome: &str) {
        if let Some(note) = &self.note {
            note.write(worker, outcome);
        }
    }
}

#[tonic::async_trait]
impl v1::scheduler_server::Scheduler for Door {
    type RegisterWorkerStream = Out<v1::TaskAssignment>;
    type StreamOutputStream = Out<v1::OutputAcks>;
    type RunStream = Out<v1::RunTaskResponse>;
    type WatchTaskStream = Out<v1::TaskEvent>;
    type ReadOutputStream = Out<v1::OutputChunk>;
    type WatchTokensStream = Out<v1::TokenTable>;

    async fn register_worker(
        &self,
        request: Request<Streaming<v1::WorkerResponse>>,
    ) -> Answer<Out<v1::TaskAssignment>> {
        let bound = Bound::of(&request);
        register::register(self, request.into_inner(), bound).await.map(Response::new).map_err(|e| wire::status(&e))
    }

    async fn stream_output(&self, request: Request<Streaming<v1::OutputFrames>>) -> Answer<Out<v1::OutputAcks>> {
        let bound = Bound::of(&request);
        let acks = output::take(self, request.into_inner(), bound);
        Ok(Response::new(acks))
    }

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Answer<v1::SubmitResponse> {
        submit::note(request.extensions(), &request.get_ref().tasks);
        answer(submit::submit(self, request.into_inner()).await.map(v1::SubmitResponse::from))
    }

    async fn run(&self, request: Request<v1::RunRequest>) -> Answer<Out<v1::RunTaskResponse>> {
        submit::note(request.extensions(), request.get_ref().task.as_slice());
        let events = run::run(self, request.into_inner()).await.map_err(|e| wire::status(&e))?;
        self.stream(events)
    }

    async fn get_task(&self, request: Request<v1::GetTaskRequest>) -> Answer<v1::Task> {
        answer(get::get(self, request.into_inner()).await)
    }

    async fn list_tasks(&self, request: Request<v1::ListTasksRequest>) -> Answer<v1::ListTasksResponse> {
        answer(list::list(self, request.into_inner()).await)
    }

    async fn cancel_task(&self, request: Request<v1::CancelTaskRequest>) -> Answer<v1::CancelTaskResponse> {
        Note::about(request.extensions(), || request.get_ref().task_id.clone());
        answer(cancel::cancel(self, request.into_inner()).await)
    }

    async fn cancel_tasks(&self, request: Request<v1::CancelTasksRequest>) -> Answer<v1::CancelTasksResponse> {
        Note::about(request.extensions(), || format!("{:?}", request.get_ref()));
        answer(cancel_tasks::cancel_tasks(self, request.into_inner()).await)
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Answer<v1::TaskAccepted> {
        Note::about(request.extensions(), || {
            format!("{} as {}", request.get_ref().task_id, request.get_ref().new_task_id)
        });
        answer(retry::retry(self, request.into_inner()).await)
    }

    async fn explain_task(&self, request: Request<v1::ExplainTaskRequest>) -> Answer<v1::ExplainTaskResponse> {
        answer(explain::explain(self, request.into_inner()).await)
    }

    async fn watch_task(&self, request: Request<v1::WatchTaskRequest>) -> Answer<Out<v1::TaskEvent>> {
        let events = watch::watch(self, request.into_inner()).await.map_err(|e| wire::status(&e))?;
        self.stream(events)
    }

    async fn read_output(&self, request: Request<v1::ReadOutputRequest>) -> Answer<Out<v1::OutputChunk>> {
        let chunks = output::read_output(self, request.into_inner()).await.map_err(|e| wire::status(&e))?;
        self.stream(chunks)
    }

    async fn list_workers(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::ListWorkersResponse> {
        answer(workers::workers(self).await)
    }

    async fn drain_worker(&self, request: Request<v1::DrainWorkerRequest>) -> Answer<v1::DrainWorkerResponse> {
        Note::about(request.extensions(), || request.get_ref().worker_id.clone());
        answer(drain::drain(self, request.into_inner()).await)
    }

    async fn forget_worker(&self, request: Request<v1::ForgetWorkerRequest>) -> Answer<v1::ForgetWorkerResponse> {
        Note::about(request.extensions(), || request.get_ref().worker_id.clone());
        answer(forget::forget(self, request.into_inner()).await)
    }

    async fn list_queues(&self, _: Request<v1::ListQueuesRequest>) -> Answer<v1::ListQueuesResponse> {
        answer(queues::queues(self).await)
    }

    async fn pause_queue(&self, request: Request<v1::PauseQueueRequest>) -> Answer<v1::PauseQueueResponse> {
        Note::about(request.extensions(), || request.get_ref().queue.clone());
        answer(pause::pause(self, request.into_inner()).await)
    }

    async fn resolve_task(&self, request: Request<v1::ResolveTaskRequest>) -> Answer<v1::ResolveTaskResponse> {
        answer(resolve::resolve(self, request.into_inner()).await)
    }

    async fn create_token(&self, request: Request<v1::CreateTokenRequest>) -> Answer<v1::CreateTokenResponse> {
        let note = request.extensions().get::<Note>().cloned();
        let answer = answer(tokens::create(self, request.into_inner()).await);
        // Which one it is, is known afterwards.
        if let (Some(note), Ok(answer)) = (note, &answer) {
            note.add(answer.get_ref().token.as_ref().map(|token| token.id.clone()).unwrap_or_default(), None);
        }
        answer
    }

    async fn list_tokens(&self, _: Request<v1::ListTokensRequest>) -> Answer<v1::ListTokensResponse> {
        Ok(Response::new(tokens::list(self)))
    }

    async fn revoke_token(&self, request: Request<v1::RevokeTokenRequest>) -> Answer<v1::RevokeTokenResponse> {
        Note::about(request.extensions(), || request.get_ref().id.clone());
        answer(tokens::revoke(self, request.into_inner()).await)
    }

    async fn watch_tokens(&self, _: Request<v1::WatchTokensRequest>) -> Answer<Out<v1::TokenTable>> {
        self.stream(tokens::watch(self))
    }

    async fn get_ca(&self, _: Request<v1::GetCaRequest>) -> Answer<v1::GetCaResponse> {
        answer(enrol::authority(self))
    }

    async fn enrol_worker(&self, request: Request<v1::EnrolWorkerRequest>) -> Answer<v1::EnrolWorkerResponse> {
        let token = request.extensions().get::<Caller>().and_then(Caller::token);
        let note = request.extensions().get::<Note>().cloned();
        let worker: String = request.get_ref().worker_id.chars().take(limits::WORD_CHARS).collect();
        Note::about(request.extensions(), || worker.clone());
        let result = enrol::enrol(self, token, request.into_inner()).await;
        if let (Some(note), Err(error)) = (note, &result)
            && enrol::is_refusal(error)
        {
            tracing::warn!(worker, reason = error.text(), "Worker may not join");
            note.refuse(error.text());
        }
        answer(result)
    }

    async fn health_check(&self, _: Request<v1::HealthCheckRequest>) -> Answer<v1::HealthCheckResponse> {
        let healthy = self.readiness.is_ready();
        Ok(Response::new(v1::HealthCheckResponse { healthy, version: service::VERSION.into() }))
    }
}
