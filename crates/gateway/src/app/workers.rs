//! The workers known to the scheduler.

use super::{App, reach};
use domain::Result;
use wire::v1::{ListWorkersRequest, ListWorkersResponse};

impl App {
    pub(crate) async fn workers(&self, request: ListWorkersRequest) -> Result<ListWorkersResponse> {
        reach::unlimited()?;
        self.upstream.answer(self.upstream.calls().list_workers(request)).await
    }
}
