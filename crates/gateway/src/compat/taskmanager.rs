//! `taskmanager.TaskManager`: descriptions become payloads of the handler `taskmanager`, states become its five words.

use crate::app::App;
use domain::{Error, Result, limits};
use futures_util::{StreamExt as _, stream::BoxStream};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wire::{
    taskmanager::{StatusRequest, StatusResponse, TaskRequest, TaskResponse, task_manager_server},
    v1::{GetTaskRequest, ProgressRequest, TaskSpec, TaskStatus},
};

/// The handler that runs these tasks.
const HANDLER: &str = "taskmanager";

/// The handlers of `taskmanager.TaskManager`.
#[derive(Clone, Debug)]
pub(crate) struct TaskManager(Arc<App>);

impl TaskManager {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self(app)
    }

    async fn submit(&self, request: TaskRequest) -> Result<TaskResponse> {
        let accepted = self.0.submit(spec(request)?).await?;
        Ok(TaskResponse { task_id: accepted.task_id })
    }

    async fn check(&self, request: StatusRequest) -> Result<StatusResponse> {
        let task = self.0.get(GetTaskRequest { task_id: request.task_id }).await?;
        Ok(response(word(task.status())))
    }
}

#[async_trait]
impl task_manager_server::TaskManager for TaskManager {
    type StreamTaskStatusStream = BoxStream<'static, Result<StatusResponse, Status>>;

    async fn submit_task(&self, request: Request<TaskRequest>) -> Result<Response<TaskResponse>, Status> {
        self.submit(request.into_inner()).await.map(Response::new).map_err(|error| wire::status(&error))
    }

    async fn check_task_status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.check(request.into_inner()).await.map(Response::new).map_err(|error| wire::status(&error))
    }

    async fn stream_task_status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<Self::StreamTaskStatusStream>, Status> {
        let StatusRequest { task_id } = request.into_inner();
        let progress = self.0.subscribe(ProgressRequest { task_id }).await.map_err(|error| wire::status(&error))?;
        let mut last = "";
        let changes = progress.filter_map(move |step| {
            let change = match step {
                Ok(step) if word(step.status()) == last => None,
                Ok(step) => {
                    last = word(step.status());
                    Some(Ok(response(last)))
                }
                Err(error) => Some(Err(wire::status(&error))),
            };
            async move { change }
        });
        Ok(Response::new(changes.boxed()))
    }
}

fn spec(request: TaskRequest) -> Result<TaskSpec> {
    let TaskRequest { task_description, priority } = request;
    if task_description.len() > limits::PAYLOAD_BYTES {
        return Err(Error::field("task_description", format!("is over {} bytes", limits::PAYLOAD_BYTES)));
    }
    let priority = match priority.as_str() {
        "LOW" => -10,
        "MEDIUM" | "" => 0,
        "HIGH" => 10,
        _ => return Err(Error::field("priority", "must be LOW, MEDIUM or HIGH")),
    };
    Ok(TaskSpec { name: HANDLER.into(), payload: task_description.into_bytes(), priority, ..Default::default() })
}

fn response(word: &str) -> StatusResponse {
    StatusResponse { status: word.into() }
}

/// The older contract's word for a status.
fn word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Unspecified | TaskStatus::Pending | TaskStatus::Dispatched => "QUEUED",
        TaskStatus::Running => "IN_PROGRESS",
        TaskStatus::Completed => "COMPLETED",
        TaskStatus::Failed | TaskStatus::TimedOut => "FAILED",
        TaskStatus::Cancelled => "CANCELLED",
    }
}
