//! Tasks newest first, a page at a time.

use super::App;
use domain::Result;
use wire::v1::{ListTasksRequest, ListTasksResponse};

impl App {
    pub(crate) async fn list(&self, request: ListTasksRequest) -> Result<ListTasksResponse> {
        // Only for its form: the scheduler reads it again.
        wire::page_request(request.clone())?;
        self.upstream.answer(self.upstream.calls().list_tasks(request)).await
    }
}
