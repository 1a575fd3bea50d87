//! The story in its older, coarser form: states and percentages.

use super::{Answers, App};
use domain::Result;
use futures_util::StreamExt as _;
use wire::{
    ProgressView,
    v1::{ProgressRequest, TaskProgress, WatchTaskRequest},
};

impl App {
    pub(crate) async fn subscribe(&self, request: ProgressRequest) -> Result<Answers<TaskProgress>> {
        let ProgressRequest { task_id } = request;
        let story = self.watch(WatchTaskRequest { task_id, after: String::new(), output: false }).await?;
        let mut view = ProgressView::default();
        let progress = story.filter_map(move |event| {
            let progress = event.map(|event| view.next(&event)).transpose();
            async move { progress }
        });
        Ok(progress.boxed())
    }
}
