//! The whole story of a task, resumable.

use super::{Answers, App};
use domain::{Result, StoryId};
use futures_util::StreamExt as _;
use wire::v1::{TaskEvent, WatchTaskRequest};

impl App {
    pub(crate) async fn watch(&self, request: WatchTaskRequest) -> Result<Answers<TaskEvent>> {
        wire::task_id(&request.task_id)?;
        if !request.after.is_empty() {
            request.after.parse::<StoryId>()?;
        }
        self.reaches(&request.task_id).await?;
        Ok(self.upstream.read(request).await?.boxed())
    }
}
