//! Watch: the story of a task from a place on.

use super::Door;
use crate::story::{StoryItem, Told};
use domain::{Result, StoryId};
use futures_util::{Stream, StreamExt as _};
use wire::v1;

pub(super) async fn watch(
    door: &Door,
    request: v1::WatchTaskRequest,
) -> Result<impl Stream<Item = Result<v1::TaskEvent>> + Send + use<>> {
    let v1::WatchTaskRequest { task_id, after, output } = request;
    let task = wire::task_id(&task_id)?;
    let after = if after.is_empty() { StoryId::default() } else { after.parse()? };
    Ok(door.story.watch(task, after, output).await?.map(|item| item.map(event)))
}

pub(super) fn event(item: StoryItem) -> v1::TaskEvent {
    let StoryItem { id, sequence, told } = item;
    match told {
        Told::Event(event) => wire::state_event(&event, sequence),
        Told::Output(frame) => wire::output_event(std::sync::Arc::unwrap_or_clone(frame), id.event, sequence),
    }
}
