//! The queues that have tasks or are paused.

use super::App;
use crate::call;
use domain::Result;
use wire::v1::{ListQueuesRequest, ListQueuesResponse};

impl App {
    pub(crate) async fn queues(&self, request: ListQueuesRequest) -> Result<ListQueuesResponse> {
        let mut answer = self.upstream.answer(self.upstream.calls().list_queues(request)).await?;
        if let Some(own) = call::queue() {
            answer.queues.retain(|info| info.queue == own);
        }
        Ok(answer)
    }
}
