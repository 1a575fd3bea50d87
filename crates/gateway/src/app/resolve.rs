//! The id that people mean by `last`, a prefix or a suffix.

use super::App;
use domain::Result;
use wire::v1::{ResolveTaskRequest, ResolveTaskResponse};

impl App {
    pub(crate) async fn resolve(&self, request: ResolveTaskRequest) -> Result<ResolveTaskResponse> {
        self.upstream.answer(self.upstream.calls().resolve_task(request)).await
    }
}
