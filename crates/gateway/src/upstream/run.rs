//! A submit that tells its story in the same call.

use super::{Upstream, create::Creating};
use crate::app::Ids;
use domain::Result;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use tonic::{Code, Response, Status};
use wire::v1::{RunRequest, RunTaskResponse, SubmitEntry, SubmitRequest, TaskAccepted, TaskEvent, WatchTaskRequest};

/// The call, tried until it is answered: in one with the story first, then as a submit alone, which can be repeated.
#[derive(Clone)]
struct Running {
    entry: SubmitEntry,
    output: bool,
    repeated: bool,
}

/// A story as it comes.
type Told = BoxStream<'static, Result<TaskEvent, Status>>;

impl Creating for Running {
    type Answer = (TaskAccepted, Option<Told>);

    async fn call(self, upstream: &Upstream) -> Result<Response<Self::Answer>, Status> {
        if self.repeated {
            return self.alone(upstream).await;
        }
        let request = RunRequest { task: Some(self.entry.clone()), output: self.output };
        let mut told = match upstream.streams.clone().run(request).await {
            // A scheduler of before there was this call.
            Err(status) if status.code() == Code::Unimplemented => return self.alone(upstream).await,
            answer => answer?.into_inner(),
        };
        let first = told.message().await?.unwrap_or_default().into_accepted()?;
        let story = told.map(|answer| answer.and_then(RunTaskResponse::into_event)).boxed();
        Ok(Response::new((first, Some(story))))
    }

    fn repeated(&mut self) -> &mut bool {
        &mut self.repeated
    }

    fn renew(&mut self, ids: &Ids) -> Result<()> {
        ids.renew(&mut self.entry.task_id)
    }
}

impl Running {
    async fn alone(self, upstream: &Upstream) -> Result<Response<(TaskAccepted, Option<Told>)>, Status> {
        let request = SubmitRequest { tasks: vec![self.entry], repeated_call: self.repeated, brief: false };
        let answer = upstream.calls().submit(request).await?.into_inner().tasks.pop();
        let accepted = wire::unpack_accepted(answer.unwrap_or_default()).map_err(|error| wire::status(&error))?;
        Ok(Response::new((accepted, None)))
    }
}

impl Upstream {
    /// Submits a task, and tells its story from the beginning. `patient` waits for a scheduler that is not there.
    pub(crate) async fn run(
        &self,
        entry: SubmitEntry,
        output: bool,
        patient: bool,
        ids: &Ids,
    ) -> Result<(TaskAccepted, impl Stream<Item = Result<TaskEvent>> + Send + use<>)> {
        let (accepted, told) = self.create(Running { entry, output, repeated: false }, patient, ids).await?;
        let request = WatchTaskRequest { task_id: accepted.task_id.clone(), after: String::new(), output };
        Ok((accepted, self.go_on(request, told)))
    }
}
