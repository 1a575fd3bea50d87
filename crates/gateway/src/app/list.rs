//! Tasks newest first, a page at a time.

use super::{App, reach};
use domain::Result;
use wire::v1::{ListTasksRequest, ListTasksResponse};

impl App {
    pub(crate) async fn list(&self, mut request: ListTasksRequest) -> Result<ListTasksResponse> {
        // Only for its form: the scheduler reads it again.
        wire::page_request(request.clone())?;
        if request.array_id.is_empty() {
            request.queue = reach::asked(request.queue)?;
        } else {
            self.reaches(&request.array_id).await?;
        }
        self.upstream.answer(self.upstream.calls().list_tasks(request)).await
    }
}
