//! Cancel: durable when it returns; with `wait`, final if that takes no longer than 10 s.

use super::Door;
use domain::{Error, Result, StateWord, StoryId, TaskId};
use futures_util::StreamExt as _;
use std::time::Duration;
use wire::v1;

/// The longest wait for the end of a task's processes (CONTRACT 4: the HTTP call's limit, and so everybody's).
const WAIT: Duration = Duration::from_secs(10);

pub(super) async fn cancel(door: &Door, request: v1::CancelTaskRequest) -> Result<v1::CancelTaskResponse> {
    let v1::CancelTaskRequest { task_id, wait } = request;
    let id = wire::task_id(&task_id)?;
    let answer = door.mailbox.cancel(vec![id]).await?.pop();
    let mut word = answer.ok_or_else(|| Error::internal("a cancel without an answer"))??;
    tracing::info!(task_id = %id, state = word.as_str(), "Task cancelled");
    if wait && !word.is_final() {
        word = tokio::time::timeout(WAIT, ended(door, id)).await.unwrap_or(Ok(word))?;
    }
    Ok(v1::CancelTaskResponse { status: wire::task_status(word).into(), state: word.as_str().into() })
}

/// Waits for the last event of a task, and says where it stands then.
async fn ended(door: &Door, id: TaskId) -> Result<StateWord> {
    let mut story = Box::pin(door.story.watch(id, StoryId::default(), false).await?);
    while let Some(item) = story.next().await {
        item?;
    }
    let task = door.read(move |reader| reader.task(id)).await?;
    Ok(task.map_or(StateWord::Cancelled, |task| task.state.word()))
}
