//! Run: submit and watch in one call. The reader is attached before the task is handed to the loop, so that its story needs
//! no look into the stores: whoever waits for a short task waits for its commits alone.

use super::{Door, submit, watch};
use domain::{Error, Result, StoryId};
use futures_util::{Stream, StreamExt as _, future::ready, stream};
use wire::v1;

pub(super) async fn run(
    door: &Door,
    request: v1::RunRequest,
) -> Result<impl Stream<Item = Result<v1::RunTaskResponse>> + Send + use<>> {
    let v1::RunRequest { task, output } = request;
    let entry = task.ok_or_else(|| Error::field("task", "must be set"))?;
    let id = wire::task_id(&entry.task_id)?;
    let expected = door.story.expect(id, output).await?;
    let submitted = v1::SubmitRequest { tasks: vec![entry], repeated_call: false, brief: false };
    let accepted = submit::submit(door, submitted).await?.pop();
    let accepted = accepted.ok_or_else(|| Error::internal("the loop did not answer"))?;
    let real = wire::task_id(&accepted.task_id)?;
    let story = if real == id {
        expected.left_stream()
    } else {
        // The idempotency key stands for an earlier task.
        door.story.watch(real, StoryId::default(), output).await?.right_stream()
    };
    let first = stream::once(ready(Ok(v1::RunTaskResponse::accepted(accepted))));
    Ok(first.chain(story.map(|item| item.map(|item| v1::RunTaskResponse::event(watch::event(item))))))
}
