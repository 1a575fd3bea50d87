//! gRPC: decode, call, encode.

use crate::app::{Answers, App};
use domain::Result;
use futures_util::{StreamExt as _, stream::BoxStream};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wire::v1;

/// The handlers of `orchestrator.v1.Gateway`.
#[derive(Clone, Debug)]
pub(crate) struct Handlers(Arc<App>);

type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl Handlers {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

#[async_trait]
impl v1::gateway_server::Gateway for Handlers {
    type RunTaskStream = Stream<v1::RunTaskResponse>;
    type SubscribeProgressStream = Stream<v1::TaskProgress>;
    type WatchTaskStream = Stream<v1::TaskEvent>;
    type ReadOutputStream = Stream<v1::OutputChunk>;

    async fn submit_task(&self, request: Request<v1::TaskSpec>) -> Result<Response<v1::TaskAccepted>, Status> {
        one(self.0.submit(request.into_inner()).await)
    }

    async fn submit_tasks(
        &self,
        request: Request<v1::SubmitTasksRequest>,
    ) -> Result<Response<v1::SubmitTasksResponse>, Status> {
        one(self.0.submit_many(request.into_inner()).await)
    }

    async fn run_task(&self, request: Request<v1::RunTaskRequest>) -> Result<Response<Self::RunTaskStream>, Status> {
        many(self.0.run(request.into_inner()).await)
    }

    async fn subscribe_progress(
        &self,
        request: Request<v1::ProgressRequest>,
    ) -> Result<Response<Self::SubscribeProgressStream>, Status> {
        many(self.0.subscribe(request.into_inner()).await)
    }

    async fn get_task(&self, request: Request<v1::GetTaskRequest>) -> Result<Response<v1::Task>, Status> {
        one(self.0.get(request.into_inner()).await)
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        one(self.0.list(request.into_inner()).await)
    }

    async fn cancel_task(
        &self,
        request: Request<v1::CancelTaskRequest>,
    ) -> Result<Response<v1::CancelTaskResponse>, Status> {
        one(self.0.cancel(request.into_inner()).await)
    }

    async fn cancel_tasks(
        &self,
        request: Request<v1::CancelTasksRequest>,
    ) -> Result<Response<v1::CancelTasksResponse>, Status> {
        one(self.0.cancel_many(request.into_inner()).await)
    }

    async fn retry_task(&self, request: Request<v1::RetryTaskRequest>) -> Result<Response<v1::TaskAccepted>, Status> {
        one(self.0.retry(request.into_inner()).await)
    }

    async fn explain_task(
        &self,
        request: Request<v1::ExplainTaskRequest>,
    ) -> Result<Response<v1::ExplainTaskResponse>, Status> {
        one(self.0.explain(request.into_inner()).await)
    }

    async fn watch_task(
        &self,
        request: Request<v1::WatchTaskRequest>,
    ) -> Result<Response<Self::WatchTaskStream>, Status> {
        many(self.0.watch(request.into_inner()).await)
    }

    async fn read_output(
        &self,
        request: Request<v1::ReadOutputRequest>,
    ) -> Result<Response<Self::ReadOutputStream>, Status> {
        many(self.0.output(request.into_inner()).await)
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        one(self.0.workers(request.into_inner()).await)
    }

    async fn drain_worker(
        &self,
        request: Request<v1::DrainWorkerRequest>,
    ) -> Result<Response<v1::DrainWorkerResponse>, Status> {
        one(self.0.drain(request.into_inner()).await)
    }

    async fn forget_worker(
        &self,
        request: Request<v1::ForgetWorkerRequest>,
    ) -> Result<Response<v1::ForgetWorkerResponse>, Status> {
        one(self.0.forget(request.into_inner()).await)
    }

    async fn list_queues(
        &self,
        request: Request<v1::ListQueuesRequest>,
    ) -> Result<Response<v1::ListQueuesResponse>, Status> {
        one(self.0.queues(request.into_inner()).await)
    }

    async fn pause_queue(
        &self,
        request: Request<v1::PauseQueueRequest>,
    ) -> Result<Response<v1::PauseQueueResponse>, Status> {
        one(self.0.pause(request.into_inner()).await)
    }

    async fn resolve_task(
        &self,
        request: Request<v1::ResolveTaskRequest>,
    ) -> Result<Response<v1::ResolveTaskResponse>, Status> {
        one(self.0.resolve(request.into_inner()).await)
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        one(self.0.create_token(request.into_inner()).await)
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        one(self.0.list_tokens(request.into_inner()).await)
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        one(self.0.revoke_token(request.into_inner()).await)
    }

    async fn health_check(
        &self,
        _: Request<v1::HealthCheckRequest>,
    ) -> Result<Response<v1::HealthCheckResponse>, Status> {
        one(Ok(self.0.health()))
    }
}

fn one<T>(answer: Result<T>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(|error| wire::status(&error))
}

fn many<T: 'static>(answers: Result<Answers<T>>) -> Result<Response<Stream<T>>, Status> {
    let encode = |answers: Answers<T>| answers.map(|item| item.map_err(|error| wire::status(&error))).boxed();
    one(answers.map(encode))
}
