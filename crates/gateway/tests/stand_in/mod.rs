//! A gateway in this process, and a stand-in for the scheduler that fails where a real one can't be made to.

use client::{Client, v1};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use service::{Api, Service, Stopping};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpSocket, sync::watch, task::JoinHandle};
use tonic::{Request, Response, Status, Streaming, async_trait};

/// A gateway that looks for its scheduler at `scheduler`.
pub struct Door {
    pub client: Client,
    pub addr: SocketAddr,
    stopping: Stopping,
    task: JoinHandle<()>,
}

impl Door {
    pub async fn open(scheduler: SocketAddr) -> Self {
        let scheduler = format!("http://{scheduler}");
        let args = ["gateway", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--scheduler", &scheduler];
        let options: gateway::Options = service::parse_from(args).unwrap();
        let gateway = gateway::Gateway::listen(&options).await.unwrap();
        let (addr, stopping) = (gateway.addr(), Stopping::new());
        let stop = stopping.clone();
        let task = tokio::spawn(async move { gateway.serve(stop).await.unwrap() });
        Self { client: Client::connect(&format!("http://{addr}")).unwrap(), addr, stopping, task }
    }

    pub async fn close(self) {
        self.stopping.request();
        self.task.await.unwrap();
    }
}

/// A port that is held, so that nobody else gets it, but not listened on. Who is told its address may still take it.
pub struct Nowhere(TcpSocket);

impl Nowhere {
    pub fn hold() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self(socket)
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// What the stand-in saw and how it fails.
#[derive(Default)]
pub struct Script {
    /// Calls of Submit: (ids, repeated).
    pub submits: Vec<(Vec<String>, bool)>,
    /// Calls of Retry: (new id, old id, repeated). They break and are refused as submits are.
    pub retries: Vec<(String, String, bool)>,
    /// The scheduler knows no Run yet.
    pub old: bool,
    /// So many submits are carried out but answered by a broken call.
    pub break_submits: usize,
    /// So many submits are refused without a change, as after a clash of row keys.
    pub refuse_submits: usize,
    /// The accepted tasks, by id.
    pub tasks: BTreeMap<String, v1::TaskSpec>,
    /// The `after` of each WatchTask, and the (attempt, offset) of each ReadOutput.
    pub watches: Vec<String>,
    pub reads: Vec<(u32, u64)>,
}

impl Script {
    fn refuse(&mut self) -> Result<(), Status> {
        let Some(left) = self.refuse_submits.checked_sub(1) else { return Ok(()) };
        self.refuse_submits = left;
        Err(refused(domain::Kind::Unavailable, "the scheduler starts again; repeat the call"))
    }

    fn break_off(&mut self) -> Result<(), Status> {
        let Some(left) = self.break_submits.checked_sub(1) else { return Ok(()) };
        self.break_submits = left;
        Err(Status::unknown("transport error"))
    }
}

/// The stand-in. Stories have three events; the stream breaks after the first as long as `broken` is true.
#[derive(Clone)]
pub struct Scheduler {
    pub script: Arc<Mutex<Script>>,
    /// Submits are held back until this is true.
    pub go: watch::Sender<bool>,
}

pub struct RunningScheduler {
    pub addr: SocketAddr,
    stopping: Stopping,
    task: JoinHandle<()>,
}

impl Scheduler {
    pub fn new() -> Self {
        Self { script: Arc::default(), go: watch::Sender::new(true) }
    }

    pub async fn start(&self, addr: SocketAddr) -> RunningScheduler {
        let gateway: gateway::Options = service::parse_from(["x"]).unwrap();
        let service =
            Service::listen("Scheduler", addr, true, &gateway.service, &service::Tls::off(), false).await.unwrap();
        let (addr, stopping) = (service.addr(), Stopping::new());
        let server = v1::scheduler_server::SchedulerServer::new(self.clone());
        let server = server.max_decoding_message_size(domain::limits::MESSAGE_BYTES);
        let stop = stopping.clone();
        let task = tokio::spawn(async move {
            service.serve(Api::new(wire::DESCRIPTOR).serving(server), &stop).await.unwrap();
        });
        RunningScheduler { addr, stopping, task }
    }
}

impl RunningScheduler {
    pub async fn stop(self) {
        self.stopping.request();
        self.task.await.unwrap();
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;
type Answer<T> = Result<Response<T>, Status>;

fn refused(kind: domain::Kind, text: &str) -> Status {
    wire::status(&domain::Error::new(kind, text))
}

#[async_trait]
impl v1::scheduler_server::Scheduler for Scheduler {
    type RegisterWorkerStream = Answers<v1::TaskAssignment>;
    type StreamOutputStream = Answers<v1::OutputAcks>;
    type RunStream = Answers<v1::RunTaskResponse>;
    type WatchTaskStream = Answers<v1::TaskEvent>;
    type ReadOutputStream = Answers<v1::OutputChunk>;
    type WatchTokensStream = Answers<v1::TokenTable>;

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Answer<v1::SubmitResponse> {
        let request = request.into_inner();
        let mut go = self.go.subscribe();
        let mut script = {
            self.script
                .lock()
                .unwrap()
                .submits
                .push((request.tasks.iter().map(|t| t.task_id.clone()).collect(), request.repeated_call));
            go.wait_for(|go| *go).await.unwrap();
            self.script.lock().unwrap()
        };
        let spec = |entry: &v1::SubmitEntry| wire::unpack(entry.spec.clone().unwrap()).unwrap();
        if request.tasks.iter().any(|entry| spec(entry).name == "conflict") {
            return Err(refused(domain::Kind::Conflict, "idempotency_key: was used for another"));
        }
        script.refuse()?;
        let mut accepted = Vec::new();
        for entry in request.tasks {
            let spec = spec(&entry);
            let task_id = entry.task_id;
            accepted.push(v1::TaskAccepted {
                task_id: task_id.clone(),
                timestamp: 1,
                state_reason: "no_worker: no worker is connected".into(),
                receipt: String::new(),
                timestamp_ms: 1_000,
            });
            script.tasks.insert(task_id, spec);
        }
        script.break_off()?;
        Ok(Response::new(accepted.into()))
    }

    /// Breaks after the first event.
    async fn run(&self, request: Request<v1::RunRequest>) -> Answer<Self::RunStream> {
        if self.script.lock().unwrap().old {
            return Err(Status::unimplemented(""));
        }
        let v1::RunRequest { task, output } = request.into_inner();
        let tasks = task.into_iter().collect();
        let submitted = self.submit(Request::new(v1::SubmitRequest { tasks, ..Default::default() })).await?;
        let accepted = wire::unpack_accepted(submitted.into_inner().tasks.remove(0)).unwrap();
        let task_id = accepted.task_id.clone();
        let watched = v1::WatchTaskRequest { task_id, output, ..Default::default() };
        let watched = self.watch_task(Request::new(watched)).await?.into_inner();
        // It is no call of its own.
        self.script.lock().unwrap().watches.clear();
        let first = stream::iter([Ok(v1::RunTaskResponse::accepted(accepted))]);
        let story = watched.map(|event| event.map(v1::RunTaskResponse::event));
        Ok(Response::new(first.chain(story).boxed()))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Answer<v1::TaskAccepted> {
        let v1::RetryRequest { new_task_id, task_id, repeated_call } = request.into_inner();
        let mut script = self.script.lock().unwrap();
        script.retries.push((new_task_id.clone(), task_id, repeated_call));
        script.refuse()?;
        script.break_off()?;
        Ok(Response::new(v1::TaskAccepted { task_id: new_task_id, timestamp: 1, ..Default::default() }))
    }

    /// Breaks after each event.
    async fn watch_task(&self, request: Request<v1::WatchTaskRequest>) -> Answer<Self::WatchTaskStream> {
        let v1::WatchTaskRequest { task_id, after, .. } = request.into_inner();
        self.script.lock().unwrap().watches.push(after.clone());
        let next = after.split('.').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) + 1;
        let (status, r#final) = match next {
            1 => (v1::TaskStatus::Pending, false),
            2 => (v1::TaskStatus::Running, false),
            _ => (v1::TaskStatus::Completed, true),
        };
        let state = v1::StateEvent { status: status.into(), r#final, ..Default::default() };
        let event = v1::TaskEvent {
            task_id,
            id: format!("{next}.0"),
            sequence: next,
            event: Some(v1::task_event::Event::State(state)),
            ..Default::default()
        };
        Ok(Response::new(stream::iter([Ok(event), Err(Status::unknown("transport error"))]).boxed()))
    }

    /// Ten bytes in chunks of three; breaks after each chunk.
    async fn read_output(&self, request: Request<v1::ReadOutputRequest>) -> Answer<Self::ReadOutputStream> {
        let v1::ReadOutputRequest { offset, attempt, .. } = request.into_inner();
        self.script.lock().unwrap().reads.push((attempt, offset));
        let all = b"0123456789";
        let from = usize::try_from(offset).unwrap();
        let to = (from + 3).min(all.len());
        let data = all[from..to].to_vec().into();
        let chunk = Ok(v1::OutputChunk { attempt: 2, offset, data, dropped: 0 });
        let end = if to == all.len() { None } else { Some(Err(Status::unavailable("the service is stopping"))) };
        Ok(Response::new(stream::iter([Some(chunk), end].into_iter().flatten()).boxed()))
    }

    async fn get_task(&self, request: Request<v1::GetTaskRequest>) -> Answer<v1::Task> {
        let id = request.into_inner().task_id;
        let spec = self.script.lock().unwrap().tasks.get(&id).cloned();
        let spec = spec.ok_or_else(|| wire::status(&domain::Error::no_task(&id)))?;
        Ok(Response::new(v1::Task { task_id: id, spec: Some(spec), ..Default::default() }))
    }

    async fn get_ca(&self, _: Request<v1::GetCaRequest>) -> Answer<v1::GetCaResponse> {
        Err(Status::unimplemented("stand-in"))
    }

    async fn enrol_worker(&self, _: Request<v1::EnrolWorkerRequest>) -> Answer<v1::EnrolWorkerResponse> {
        Err(Status::unimplemented("stand-in"))
    }

    async fn health_check(&self, _: Request<v1::HealthCheckRequest>) -> Answer<v1::HealthCheckResponse> {
        Ok(Response::new(v1::HealthCheckResponse { healthy: true, version: "x".into() }))
    }

    async fn register_worker(&self, _: Request<Streaming<v1::WorkerResponse>>) -> Answer<Self::RegisterWorkerStream> {
        Err(Status::unimplemented("stand-in"))
    }
    async fn stream_output(&self, _: Request<Streaming<v1::OutputFrames>>) -> Answer<Self::StreamOutputStream> {
        Err(Status::unimplemented("stand-in"))
    }
    async fn list_tasks(&self, _: Request<v1::ListTasksRequest>) -> Answer<v1::ListTasksResponse> {
        Err(Status::unimplemented("stand-in"))
    }
    async fn cancel_task(&self, _: Request<v1::CancelTaskRequest>) -> Answer<v1::CancelTaskResponse> {
        Err(refused(domain::Kind::Precondition, "task is completed already"))
    }
    async fn list_workers(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::ListWorkersResponse> {
        Err(Status::unimplemented("stand-in"))
    }
    async fn resolve_task(&self, _: Request<v1::ResolveTaskRequest>) -> Answer<v1::ResolveTaskResponse> {
        Err(refused(domain::Kind::Precondition, "`0` could be many"))
    }
    async fn cancel_tasks(&self, _: Request<v1::CancelTasksRequest>) -> Answer<v1::CancelTasksResponse> {
        Ok(Response::new(v1::CancelTasksResponse { cancelled: 3, cancelling: 2 }))
    }
    async fn explain_task(&self, request: Request<v1::ExplainTaskRequest>) -> Answer<v1::ExplainTaskResponse> {
        Err(wire::status(&domain::Error::no_task(request.into_inner().task_id)))
    }
    async fn drain_worker(&self, request: Request<v1::DrainWorkerRequest>) -> Answer<v1::DrainWorkerResponse> {
        Ok(Response::new(v1::DrainWorkerResponse { running: if request.into_inner().undo { 0 } else { 4 } }))
    }
    async fn forget_worker(&self, _: Request<v1::ForgetWorkerRequest>) -> Answer<v1::ForgetWorkerResponse> {
        Err(refused(domain::Kind::Precondition, "worker w1 is connected"))
    }
    async fn list_queues(&self, _: Request<v1::ListQueuesRequest>) -> Answer<v1::ListQueuesResponse> {
        let queue = wire::v1_queue("q", &domain::Counts::default(), true);
        Ok(Response::new(v1::ListQueuesResponse { queues: vec![queue] }))
    }
    async fn pause_queue(&self, _: Request<v1::PauseQueueRequest>) -> Answer<v1::PauseQueueResponse> {
        Ok(Response::new(v1::PauseQueueResponse {}))
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
    async fn watch_tokens(&self, _: Request<v1::WatchTokensRequest>) -> Answer<Self::WatchTokensStream> {
        Ok(Response::new(stream::empty().boxed()))
    }
}
