//! A task and its story in one call: a submit whose caller waits for the end.

use super::{Answers, App, submit};
use domain::{Error, Result};
use futures_util::{StreamExt as _, future::ready, stream};
use wire::v1::{RunTaskRequest, RunTaskResponse};

impl App {
    pub(crate) async fn run(&self, request: RunTaskRequest) -> Result<Answers<RunTaskResponse>> {
        let RunTaskRequest { spec, output } = request;
        let spec = spec.ok_or_else(|| Error::field("spec", "must be set"))?;
        let (entry, bytes) = self.checked(spec)?;
        let room = self.submitter.room(bytes)?;
        let patient = self.patience.is_worthwhile();
        let (accepted, story) = self.upstream.run(entry, output, patient, &self.ids).await?;
        drop(room);
        submit::submitted(&accepted);
        let first = stream::once(ready(Ok(RunTaskResponse::accepted(accepted))));
        Ok(first.chain(story.map(|event| event.map(RunTaskResponse::event))).boxed())
    }
}
