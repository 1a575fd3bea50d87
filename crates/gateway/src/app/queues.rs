//! The queues that have tasks or are paused.

use super::App;
use domain::Result;
use wire::v1::{ListQueuesRequest, ListQueuesResponse};

impl App {
    pub(crate) async fn queues(&self, request: ListQueuesRequest) -> Result<ListQueuesResponse> {
        self.upstream.answer(self.upstream.calls().list_queues(request)).await
    }
}
