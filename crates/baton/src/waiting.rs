//! Waits for the end of tasks that were handed over. Ctrl-C ends the waiting, not the tasks.

use crate::{bar::Bar, escape::shown, exit::ExitStatus, failure::Failure, follow, printer, view};
use clap::Args;
use client::Client;
use domain::{Kind, TaskId};
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};
use wire::v1::{self, TaskStatus};

/// Tasks that are followed at once.
const FOLLOWED: usize = 32;
/// Between two looks at how far a task is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Args)]
pub struct WaitOptions {
    /// Wait for the end: exit code 0 if all completed, else 1; Ctrl-C stops waiting and leaves the tasks alone
    #[arg(long)]
    pub wait: bool,
    /// Wait for the end, and show on stderr how far it is
    #[arg(long)]
    pub progress: bool,
}

impl WaitOptions {
    /// Whether the end is waited for.
    pub fn any(&self) -> bool {
        self.wait || self.progress
    }

    /// Waits for the end of these tasks, if that is wanted.
    pub async fn wait(&self, gateway: &Client, ids: &[TaskId]) -> Result<ExitStatus, Failure> {
        if !self.any() {
            return Ok(ExitStatus::Success);
        }
        let ended = async {
            match ids {
                [only] => one(gateway, &only.to_string(), self.progress).await,
                several => all(gateway, several, self.progress).await,
            }
        };
        tokio::select! {
            completed = ended => completed.map(|yes| if yes { ExitStatus::Success } else { ExitStatus::Error }),
            _ = tokio::signal::ctrl_c() => {
                let hint = match ids {
                    [only] => format!("the task goes on; see: baton watch {only}, baton cancel {only}"),
                    _ => "the tasks go on; see: baton list".into(),
                };
                printer::note(&format!("\nbaton: no longer waiting; {hint}"));
                Ok(ExitStatus::Cancelled)
            }
        }
    }
}

/// Whether the task completed.
async fn one(gateway: &Client, id: &str, progress: bool) -> Result<bool, Failure> {
    if !progress {
        return Ok(follow::follow(gateway, id, false, |_| Ok(())).await?.status == TaskStatus::Completed);
    }
    let mut bar = Bar::new();
    let task = look(gateway, id, LOOK_EVERY, |task| {
        bar.show(task.progress_percent, &how_far(task));
        Ok(())
    })
    .await?;
    bar.end(task.progress_percent, &how_far(&task));
    Ok(task.status() == TaskStatus::Completed)
}

/// Whether all of them completed.
async fn all(gateway: &Client, ids: &[TaskId], progress: bool) -> Result<bool, Failure> {
    let (mut following, mut left) = (JoinSet::new(), ids.iter());
    let (mut ended, mut completed) = (0, 0);
    let mut bar = Bar::new();
    loop {
        while following.len() < FOLLOWED
            && let Some(id) = left.next()
        {
            let (gateway, id) = (gateway.clone(), id.to_string());
            following.spawn(async move { follow::follow(&gateway, &id, false, |_| Ok(())).await });
        }
        let Some(done) = following.join_next().await else { break };
        let end = done.map_err(|error| Failure::error(format!("cannot wait: {error}")))??;
        ended += 1;
        completed += usize::from(end.status == TaskStatus::Completed);
        let percent = i32::try_from(ended * 100 / ids.len().max(1)).unwrap_or(100);
        let text = || format!("{ended} of {} final, {} not completed", ids.len(), ended - completed);
        match (progress, ended == ids.len()) {
            (true, true) => bar.end(percent, &text()),
            (true, false) => bar.show(percent, &text()),
            (false, _) => {}
        }
    }
    Ok(completed == ids.len())
}

/// Looks at a task again and again, up to its end, which it gives back. Gateway and scheduler may go away and come back in
/// between.
pub async fn look(
    gateway: &Client,
    id: &str,
    every: Duration,
    mut show: impl FnMut(&v1::Task) -> Result<(), Failure>,
) -> Result<v1::Task, Failure> {
    let mut met = false;
    loop {
        match gateway.get(id).await {
            Ok(task) if task.finished_at_ms != 0 => return Ok(task),
            Ok(task) => {
                met = true;
                show(&task)?;
            }
            Err(error) if met && matches!(error.kind(), None | Some(Kind::Unavailable | Kind::Unknown)) => {}
            Err(error) => return Err(error.into()),
        }
        sleep(every).await;
    }
}

/// How far a task is, on one line.
fn how_far(task: &v1::Task) -> String {
    let what = what_now(task);
    if what.is_empty() || what == task.state { task.state.clone() } else { format!("{}: {what}", task.state) }
}

/// What there is to say of a task besides its state: of an array its members, else why it waits, or its message.
pub fn what_now(task: &v1::Task) -> String {
    match &task.members {
        Some(members) => view::counted(members),
        None => task.waiting_for.first().map_or_else(|| shown(&task.message), |why| shown(&view::why(why))),
    }
}
