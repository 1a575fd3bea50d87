//! The id that people mean by `last`, a prefix or a suffix.

use super::App;
use crate::call;
use domain::{Error, Kind, Result};
use wire::v1::{ResolveTaskRequest, ResolveTaskResponse};

impl App {
    pub(crate) async fn resolve(&self, request: ResolveTaskRequest) -> Result<ResolveTaskResponse> {
        let text = request.text.clone();
        let found = self.upstream.answer(self.upstream.calls().resolve_task(request)).await;
        if call::queue().is_none() {
            return found;
        }
        // The names of several would be those of other queues, too.
        let found =
            found.map_err(|error| if error.kind() == Kind::Precondition { Error::no_task(text) } else { error })?;
        self.reaches(&found.task_id).await?;
        Ok(found)
    }
}
