//! The bytes of one stream from an offset.

use super::{Answers, App};
use domain::Result;
use futures_util::StreamExt as _;
use wire::v1::{OutputChunk, ReadOutputRequest};

impl App {
    pub(crate) async fn output(&self, request: ReadOutputRequest) -> Result<Answers<OutputChunk>> {
        wire::task_id(&request.task_id)?;
        wire::stream_name(request.stream)?;
        self.reaches(&request.task_id).await?;
        Ok(self.upstream.read(request).await?.boxed())
    }
}
