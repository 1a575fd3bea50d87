//! One task as it stands.

use super::App;
use domain::Result;
use wire::v1::{GetTaskRequest, Task};

impl App {
    pub(crate) async fn get(&self, request: GetTaskRequest) -> Result<Task> {
        wire::task_id(&request.task_id)?;
        self.reaches(&request.task_id).await?;
        self.upstream.answer(self.upstream.calls().get_task(request)).await
    }
}
