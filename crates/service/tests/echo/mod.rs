//! A small gRPC service to be served: one endless stream, one call that never ends, one that answers.

use clap::Parser;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use service::{Api, Options, Readiness, Service, Stopping, Tls};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};
use tonic::{Request, Response, Status, async_trait, transport::Channel};
use wire::v1;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    service: Options,
}

pub fn options(args: &[&str]) -> Options {
    let flags: Flags = service::parse_from(["x"].iter().chain(args)).unwrap();
    flags.service
}

pub struct Running {
    pub addr: SocketAddr,
    pub readiness: Readiness,
    pub stopping: Stopping,
    called: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(args: &[&str]) -> Self {
        let service = Service::listen("Echo", ([127, 0, 0, 1], 0).into(), true, &options(args), &Tls::off(), false)
            .await
            .unwrap();
        let (addr, readiness, stopping) = (service.addr(), service.readiness(), Stopping::new());
        let called = Arc::new(Notify::new());
        let handlers = v1::gateway_server::GatewayServer::new(Echo(Arc::clone(&called)));
        let stop = stopping.clone();
        let task = tokio::spawn(async move {
            service.serve(Api::new(wire::DESCRIPTOR).serving(handlers), &stop).await.unwrap();
        });
        Self { addr, readiness, stopping, called, task }
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.addr)).unwrap().connect().await.unwrap()
    }

    /// Waits until the call that never ends has arrived.
    pub async fn called(&self) {
        self.called.notified().await;
    }

    pub async fn ended(self) {
        self.task.await.unwrap();
    }
}

/// A plain HTTP/1 request: status and body.
pub async fn get(addr: SocketAddr, path: &str, host: &str, origin: Option<&str>) -> (u16, String) {
    let origin = origin.map_or_else(String::new, |o| format!("Origin: {o}\r\n"));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub async fn list_v1(channel: Channel) -> Vec<String> {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request as request, server_reflection_response::MessageResponse,
    };
    let ask = request::MessageRequest::ListServices(String::new());
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(stream::iter([ask])).await.unwrap();
    match answers.into_inner().message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::ListServicesResponse(list)) => list.service.into_iter().map(|s| s.name).collect(),
        other => panic!("{other:?}"),
    }
}

pub async fn list_v1alpha(channel: Channel) -> Vec<String> {
    use tonic_reflection::pb::v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request as request, server_reflection_response::MessageResponse,
    };
    let ask = request::MessageRequest::ListServices(String::new());
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(stream::iter([ask])).await.unwrap();
    match answers.into_inner().message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::ListServicesResponse(list)) => list.service.into_iter().map(|s| s.name).collect(),
        other => panic!("{other:?}"),
    }
}

struct Echo(Arc<Notify>);

type Stream<T> = BoxStream<'static, Result<T, Status>>;
type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl v1::gateway_server::Gateway for Echo {
    type RunTaskStream = Stream<v1::RunTaskResponse>;
    type SubscribeProgressStream = Stream<v1::TaskProgress>;
    type WatchTaskStream = Stream<v1::TaskEvent>;
    type ReadOutputStream = Stream<v1::OutputChunk>;

    /// One event, then nothing for ever.
    async fn watch_task(&self, _: Request<v1::WatchTaskRequest>) -> Answer<Self::WatchTaskStream> {
        let first = v1::TaskEvent { id: "1.0".into(), ..Default::default() };
        Ok(Response::new(stream::iter([Ok(first)]).chain(stream::pending()).boxed()))
    }
    /// Never answers.
    async fn get_task(&self, _: Request<v1::GetTaskRequest>) -> Answer<v1::Task> {
        self.0.notify_one();
        std::future::pending().await
    }
    async fn health_check(&self, _: Request<v1::HealthCheckRequest>) -> Answer<v1::HealthCheckResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn submit_task(&self, _: Request<v1::TaskSpec>) -> Answer<v1::TaskAccepted> {
        Ok(Response::new(Default::default()))
    }
    async fn submit_tasks(&self, _: Request<v1::SubmitTasksRequest>) -> Answer<v1::SubmitTasksResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn run_task(&self, _: Request<v1::RunTaskRequest>) -> Answer<Self::RunTaskStream> {
        Ok(Response::new(stream::empty().boxed()))
    }
    async fn subscribe_progress(&self, _: Request<v1::ProgressRequest>) -> Answer<Self::SubscribeProgressStream> {
        Ok(Response::new(stream::empty().boxed()))
    }
    async fn list_tasks(&self, _: Request<v1::ListTasksRequest>) -> Answer<v1::ListTasksResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn cancel_task(&self, _: Request<v1::CancelTaskRequest>) -> Answer<v1::CancelTaskResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn cancel_tasks(&self, _: Request<v1::CancelTasksRequest>) -> Answer<v1::CancelTasksResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn retry_task(&self, _: Request<v1::RetryTaskRequest>) -> Answer<v1::TaskAccepted> {
        Ok(Response::new(Default::default()))
    }
    async fn explain_task(&self, _: Request<v1::ExplainTaskRequest>) -> Answer<v1::ExplainTaskResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn drain_worker(&self, _: Request<v1::DrainWorkerRequest>) -> Answer<v1::DrainWorkerResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn forget_worker(&self, _: Request<v1::ForgetWorkerRequest>) -> Answer<v1::ForgetWorkerResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn list_queues(&self, _: Request<v1::ListQueuesRequest>) -> Answer<v1::ListQueuesResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn pause_queue(&self, _: Request<v1::PauseQueueRequest>) -> Answer<v1::PauseQueueResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn read_output(&self, _: Request<v1::ReadOutputRequest>) -> Answer<Self::ReadOutputStream> {
        Ok(Response::new(stream::empty().boxed()))
    }
    async fn list_workers(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::ListWorkersResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn create_token(&self, _: Request<v1::CreateTokenRequest>) -> Answer<v1::CreateTokenResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn list_tokens(&self, _: Request<v1::ListTokensRequest>) -> Answer<v1::ListTokensResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn revoke_token(&self, _: Request<v1::RevokeTokenRequest>) -> Answer<v1::RevokeTokenResponse> {
        Ok(Response::new(Default::default()))
    }
    async fn resolve_task(&self, _: Request<v1::ResolveTaskRequest>) -> Answer<v1::ResolveTaskResponse> {
        Ok(Response::new(Default::default()))
    }
}
