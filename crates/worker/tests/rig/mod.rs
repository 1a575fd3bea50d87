//! A scheduler that does what the test says, and the real worker process against it, over real sockets.

use domain::{AttemptId, AttemptNo, Epoch, Order, OrderBatch, Report, ReportKind, Run, ShellRun, Spec, Start, TaskId};
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    pin::Pin,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use wire::{
    v1::{self, scheduler_server as server, worker_response::Message},
    worker,
};

/// Long enough for anything that is going to happen on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// The scheduler's side, accepting connections.
pub struct Stub {
    pub address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
    outputs: mpsc::Receiver<Output>,
}

/// One session of the worker.
pub struct Session {
    from: Streaming<v1::WorkerResponse>,
    to: mpsc::Sender<Result<v1::TaskAssignment, Status>>,
    next: u64,
    pub hello: Option<domain::Hello>,
    pub offer: domain::Offer,
}

/// One output stream of the worker.
pub struct Output {
    from: Streaming<v1::OutputFrames>,
    to: mpsc::Sender<Result<v1::OutputAcks, Status>>,
}

struct Door {
    sessions: mpsc::Sender<Session>,
    outputs: mpsc::Sender<Output>,
}

impl Stub {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sessions, new_sessions) = mpsc::channel(8);
        let (outputs, new_outputs) = mpsc::channel(8);
        let service = server::SchedulerServer::new(Door { sessions, outputs });
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { address, sessions: new_sessions, outputs: new_outputs }
    }

    /// The worker's next session: its hello is read, and it is welcomed.
    pub async fn session(&mut self) -> Session {
        let mut session = soon("a session", self.sessions.recv()).await.unwrap();
        match session.read().await {
            Some(Message::Hello(hello)) => session.hello = Some(worker::hello(hello).unwrap()),
            other => panic!("no hello: {other:?}"),
        }
        let lost_after = Duration::from_secs(60);
        let highest_commit = domain::Commit(1);
        let welcome = domain::Welcome { session: 1, lost_after, store_id: "stub".into(), highest_commit };
        session.order(Order::Welcome(welcome)).await;
        session
    }

    pub async fn output(&mut self) -> Output {
        soon("an output stream", self.outputs.recv()).await.unwrap()
    }
}

impl Session {
    async fn read(&mut self) -> Option<Message> {
        soon("a message of the worker", self.from.next()).await?.ok()?.message
    }

    pub async fn order(&mut self, order: Order) {
        let batch = OrderBatch { shard: 0, epoch: Epoch(1), sequence: self.next, orders: vec![order] };
        self.next += 1;
        self.to.send(Ok(worker::v1_assignment(batch))).await.unwrap();
    }

    pub async fn start(&mut self, attempt: AttemptId, spec: Spec) {
        self.start_member(attempt, spec, None).await;
    }

    pub async fn start_member(&mut self, attempt: AttemptId, spec: Spec, entry: Option<&str>) {
        let entry = entry.map(Arc::from);
        self.order(Order::Start(Start { attempt, spec: Arc::new(spec), class: 1, entry })).await;
    }

    /// The next reports; `None` if the session ended.
    pub async fn reports(&mut self) -> Option<Vec<Report>> {
        loop {
            let Message::Update(update) = self.read().await? else { panic!("not an update") };
            let (reports, offer) = worker::update(update).unwrap();
            self.offer = offer.unwrap_or(self.offer);
            if !reports.is_empty() {
                return Some(reports);
            }
        }
    }

    /// All reports up to the attempt's last one, which is not acknowledged.
    pub async fn until_exit(&mut self, attempt: AttemptId) -> Vec<Report> {
        let mut all = Vec::new();
        loop {
            all.extend(self.reports().await.expect("the session lasts"));
            let over =
                |r: &Report| r.attempt == attempt && !matches!(r.kind, ReportKind::Started | ReportKind::Progressed(_));
            if all.iter().any(over) {
                return all;
            }
        }
    }

    pub async fn until_started(&mut self, attempt: AttemptId) {
        loop {
            let reports = self.reports().await.expect("the session lasts");
            if let Some(report) = reports.iter().find(|r| r.attempt == attempt && r.kind == ReportKind::Started) {
                return self.order(Order::Forget(report.number)).await;
            }
        }
    }
}

impl Output {
    /// The next frames; `None` if the stream ended.
    pub async fn frames(&mut self) -> Option<Vec<domain::Frame>> {
        let message = soon("frames", self.from.next()).await?.ok()?;
        Some(message.frames.into_iter().map(|f| worker::frame(f).unwrap()).collect())
    }

    pub async fn ack(&mut self, attempt: AttemptId, number: u64) {
        self.to.send(Ok(v1::OutputAcks { acks: vec![worker::v1_ack(attempt, number)] })).await.unwrap();
    }
}

/// A worker process. Its tasks, and its keeper, end with it.
pub struct Worker {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

pub fn command(scheduler: SocketAddr, data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.args(["--id", "w", "--kill-grace", "1s", "--data-dir"]).arg(data_dir);
    command.args(["--scheduler", &format!("http://{scheduler}")]);
    command.stdin(Stdio::null());
    command
}

impl Worker {
    pub fn start(scheduler: SocketAddr, data_dir: &Path, more: &[&str]) -> Self {
        let mut child = command(scheduler, data_dir)
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Worker service listening on ").expect("the line").parse().unwrap();
        Self { child, stdout, address }
    }

    /// Nothing is asked: the process is gone.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// What it still prints, and its exit code, once it has ended by itself.
    pub fn ended(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.stdout, &mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        (rest, code)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // Twice: the second one ends the tasks and the keeper.
            self.signal(rustix::process::Signal::INT);
            self.signal(rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

pub fn attempt(n: u64) -> AttemptId {
    AttemptId { task: TaskId::from_parts(1_700_000_000_000 + n, 0, 1, 1), no: AttemptNo::FIRST }
}

pub fn spec(name: &str, run: Run) -> Spec {
    Spec {
        name: name.into(),
        description: String::new(),
        run,
        timeout: Some(Duration::from_secs(300)),
        retry: domain::RetryPolicy { max_retries: 0 },
        on_lost: domain::OnLost::Retry,
        key: None,
        worker: None,
        labels: Default::default(),
        priority: 0,
        queue: "default".into(),
        run_at: None,
        start_within: None,
        array: None,
        trace: None,
        trace_state: String::new(),
    }
}

pub fn shell(line: &str) -> Spec {
    spec("shell", Run::Shell(ShellRun { command: line.into(), ..ShellRun::default() }))
}

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn no<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not part of the stub"))
}

#[tonic::async_trait]
impl server::Scheduler for Door {
    type RegisterWorkerStream = Out<v1::TaskAssignment>;
    type StreamOutputStream = Out<v1::OutputAcks>;
    type RunStream = Out<v1::RunTaskResponse>;
    type WatchTaskStream = Out<v1::TaskEvent>;
    type ReadOutputStream = Out<v1::OutputChunk>;
    type WatchTokensStream = Out<v1::TokenTable>;

    async fn register_worker(
        &self,
        request: Request<Streaming<v1::WorkerResponse>>,
    ) -> Result<Response<Self::RegisterWorkerStream>, Status> {
        let (to, orders) = mpsc::channel(64);
        let offer = domain::Offer::default();
        let _ = self.sessions.send(Session { from: request.into_inner(), to, next: 1, hello: None, offer }).await;
        Ok(Response::new(Box::pin(ReceiverStream::new(orders))))
    }

    async fn stream_output(
        &self,
        request: Request<Streaming<v1::OutputFrames>>,
    ) -> Result<Response<Self::StreamOutputStream>, Status> {
        let (to, acks) = mpsc::channel(64);
        let _ = self.outputs.send(Output { from: request.into_inner(), to }).await;
        Ok(Response::new(Box::pin(ReceiverStream::new(acks))))
    }

    async fn submit(&self, _: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        no()
    }
    async fn run(&self, _: Request<v1::RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        no()
    }
    async fn get_task(&self, _: Request<v1::GetTaskRequest>) -> Result<Response<v1::Task>, Status> {
        no()
    }
    async fn list_tasks(&self, _: Request<v1::ListTasksRequest>) -> Result<Response<v1::ListTasksResponse>, Status> {
        no()
    }
    async fn cancel_task(&self, _: Request<v1::CancelTaskRequest>) -> Result<Response<v1::CancelTaskResponse>, Status> {
        no()
    }
    async fn watch_task(&self, _: Request<v1::WatchTaskRequest>) -> Result<Response<Self::WatchTaskStream>, Status> {
        no()
    }
    async fn read_output(&self, _: Request<v1::ReadOutputRequest>) -> Result<Response<Self::ReadOutputStream>, Status> {
        no()
    }
    async fn list_workers(
        &self,
        _: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        no()
    }
    async fn resolve_task(
        &self,
        _: Request<v1::ResolveTaskRequest>,
    ) -> Result<Response<v1::ResolveTaskResponse>, Status> {
        no()
    }
    async fn cancel_tasks(
        &self,
        _: Request<v1::CancelTasksRequest>,
    ) -> Result<Response<v1::CancelTasksResponse>, Status> {
        no()
    }
    async fn retry(&self, _: Request<v1::RetryRequest>) -> Result<Response<v1::TaskAccepted>, Status> {
        no()
    }
    async fn explain_task(
        &self,
        _: Request<v1::ExplainTaskRequest>,
    ) -> Result<Response<v1::ExplainTaskResponse>, Status> {
        no()
    }
    async fn drain_worker(
        &self,
        _: Request<v1::DrainWorkerRequest>,
    ) -> Result<Response<v1::DrainWorkerResponse>, Status> {
        no()
    }
    async fn forget_worker(
        &self,
        _: Request<v1::ForgetWorkerRequest>,
    ) -> Result<Response<v1::ForgetWorkerResponse>, Status> {
        no()
    }
    async fn list_queues(&self, _: Request<v1::ListQueuesRequest>) -> Result<Response<v1::ListQueuesResponse>, Status> {
        no()
    }
    async fn pause_queue(&self, _: Request<v1::PauseQueueRequest>) -> Result<Response<v1::PauseQueueResponse>, Status> {
        no()
    }
    async fn create_token(
        &self,
        _: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        no()
    }
    async fn list_tokens(&self, _: Request<v1::ListTokensRequest>) -> Result<Response<v1::ListTokensResponse>, Status> {
        no()
    }
    async fn revoke_token(
        &self,
        _: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        no()
    }
    async fn watch_tokens(
        &self,
        _: Request<v1::WatchTokensRequest>,
    ) -> Result<Response<Self::WatchTokensStream>, Status> {
        no()
    }
    async fn get_ca(&self, _: Request<v1::GetCaRequest>) -> Result<Response<v1::GetCaResponse>, Status> {
        no()
    }
    async fn enrol_worker(
        &self,
        _: Request<v1::EnrolWorkerRequest>,
    ) -> Result<Response<v1::EnrolWorkerResponse>, Status> {
        no()
    }
    async fn health_check(
        &self,
        _: Request<v1::HealthCheckRequest>,
    ) -> Result<Response<v1::HealthCheckResponse>, Status> {
        no()
    }
}
