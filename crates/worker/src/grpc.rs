//! The worker's own gRPC service.

use crate::direct::{Command, Running};
use domain::{AttemptId, Error, Kind, Spec};
use futures_util::{Stream, stream};
use service::Readiness;
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};
use wire::v1::{self, worker_server};

/// Decode, call, encode.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub commands: mpsc::Sender<Command>,
    pub readiness: Readiness,
    /// Whether it may be asked without the scheduler.
    pub direct_calls: bool,
}

type ProgressStream = Pin<Box<dyn Stream<Item = Result<v1::TaskProgress, Status>> + Send>>;

#[tonic::async_trait]
impl worker_server::Worker for Door {
    type ExecuteTaskStream = ProgressStream;

    async fn execute_task(&self, request: Request<v1::TaskSpec>) -> Result<Response<ProgressStream>, Status> {
        if !self.direct_calls {
            let text = "this worker belongs to a scheduler that asks for tokens: submit the task to the gateway";
            return Err(wire::status(&Error::new(Kind::Denied, text)));
        }
        if !request.remote_addr().is_some_and(|peer| peer.ip().is_loopback()) {
            let text = "direct calls are answered on loopback only; submit the task to the gateway";
            return Err(wire::status(&Error::new(Kind::Denied, text)));
        }
        let spec = Spec::try_from(request.into_inner()).map_err(|error| wire::status(&error))?;
        if spec.array.is_some() {
            let error = Error::field("array", "cannot be run directly; submit it to the gateway");
            return Err(wire::status(&error));
        }
        let running = self.run(spec).await.map_err(|error| wire::status(&error))?;
        let call = Call { commands: self.commands.clone(), attempt: running.attempt };
        let progress = stream::unfold((running.progress, call), async |(mut progress, call)| {
            progress.recv().await.map(|message| (Ok(message), (progress, call)))
        });
        Ok(Response::new(Box::pin(progress)))
    }

    async fn health_check(
        &self,
        _: Request<v1::HealthCheckRequest>,
    ) -> Result<Response<v1::HealthCheckResponse>, Status> {
        let healthy = self.readiness.is_ready();
        Ok(Response::new(v1::HealthCheckResponse { healthy, version: service::VERSION.to_owned() }))
    }
}

impl Door {
    async fn run(&self, spec: Spec) -> domain::Result<Running> {
        let stopping = || Error::unavailable("this worker is stopping");
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Run { spec: Box::new(spec), reply }).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// A caller that listens; the attempt ends with it.
struct Call {
    commands: mpsc::Sender<Command>,
    attempt: AttemptId,
}

impl Drop for Call {
    fn drop(&mut self) {
        let (commands, attempt) = (self.commands.clone(), self.attempt);
        // Waits for room if there is none; ends at once if the loop is gone.
        tokio::spawn(async move { commands.send(Command::Abandon(attempt)).await });
    }
}
