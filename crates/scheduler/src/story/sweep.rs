//! The sweep: output whose tasks are deleted goes too, by whole segments. Reads the stores, off the event loop; the deletion
//! itself is the output thread's.

use super::actor::Command;
use super::{Handle, damaged, unreadable};
use domain::{Result, TaskId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// No segment's number: that one was sealed instead of deleted.
const SEALED: u64 = 0;
/// A segment that was sealed is looked at again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// For each segment that stayed, one of its tasks that was still there: as long as it is, nothing else is looked at.
type Stays = BTreeMap<u64, TaskId>;

impl Handle {
    /// Looks for such segments whenever it is told that tasks were deleted, and once before. Never returns.
    pub(crate) async fn sweep(self, deleted: Arc<Notify>) {
        let mut stays = Stays::new();
        loop {
            // A failure was logged where it happened; then all is looked at again.
            stays = self.sweep_once(stays).await.unwrap_or_default();
            // What was appended to was sealed: by then it is.
            let again = stays.remove(&SEALED).is_some();
            tokio::select! {
                () = deleted.notified() => {}
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// Deletes what can be deleted, given what stayed the last time. Returns what stays now.
    pub(super) async fn sweep_once(&self, stays: Stays) -> Result<Stays> {
        let (expired, stays) = self.blocking(move |handle| look(handle, &stays)).await??;
        if !expired.is_empty() {
            tracing::info!(segments = expired.len(), "Output expired");
            // The actor ends only with the process.
            let _ = self.commands.send(Command::Expire(expired)).await;
        }
        Ok(stays)
    }
}

fn look(handle: &Handle, before: &Stays) -> Result<(Vec<u64>, Stays)> {
    let (mut expired, mut stays) = (Vec::new(), Stays::new());
    for segment in handle.output.sealed().map_err(|e| damaged(&e))? {
        match reason_to_stay(handle, segment, before.get(&segment).copied())? {
            Some(task) => drop(stays.insert(segment, task)),
            None => expired.push(segment),
        }
    }
    // The one that is appended to goes the same way, but for one step more.
    let (open, tasks) = handle.output.open();
    let there = |task: &TaskId| handle.store.task(*task).map(|found| found.is_some()).map_err(|f| unreadable(&f));
    if let Some(first) = tasks.first().copied()
        && tasks.iter().map(there).all(|there| there == Ok(false))
    {
        expired.push(open);
        stays.insert(SEALED, first);
    }
    Ok((expired, stays))
}

/// A task of this segment that is still there.
fn reason_to_stay(handle: &Handle, segment: u64, before: Option<TaskId>) -> Result<Option<TaskId>> {
    let there = |task| handle.store.task(task).map(|found| found.is_some()).map_err(|f| unreadable(&f));
    if let Some(task) = before
        && there(task)?
    {
        return Ok(Some(task));
    }
    for task in handle.output.tasks(segment).map_err(|e| damaged(&e))? {
        if there(task)? {
            return Ok(Some(task));
        }
    }
    Ok(None)
}
