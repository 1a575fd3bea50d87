//! What comes from the keeper, and what becomes of its attempts when it dies.

use crate::{
    core::Core,
    data_dir::DataDir,
    direct::is_direct,
    docker::DockerEvent,
    keeper::{self, Exited, HeldByKeeper, Keeper, KeeperEvent, KeeperOptions, KeptAttempt, Orphan},
};
use domain::{AttemptId, Exit, HeldAttempt, HeldPhase, Totals};
use service::Fatal;
use session::Input;
use std::collections::BTreeSet;
use tokio::sync::mpsc;

impl Core {
    pub(crate) async fn keeper_event(&mut self, event: KeeperEvent) {
        match event {
            KeeperEvent::Started { attempt, at: _ } => self.started(attempt),
            KeeperEvent::Frame(frame) => {
                self.meters.output(frame.data.len());
                if is_direct(frame.attempt) {
                    let (attempt, number) = (frame.attempt, frame.number);
                    self.direct.frame(frame);
                    self.executors.release(attempt, number).await;
                } else {
                    self.give(Input::Frame(frame));
                }
            }
            KeeperEvent::Progressed { attempt, progress } => self.progressed(attempt, progress),
            KeeperEvent::Custody { attempt, custody } => {
                if self.executors.in_keeper.contains(&attempt) {
                    self.executors.custody.insert(attempt, custody);
                }
            }
            KeeperEvent::Exited(exited) => {
                self.executors.custody.remove(&exited.attempt);
                // Of a container, once that is gone.
                if let Some(exited) = self.executors.docker.settle(exited) {
                    self.keeper_exited(exited).await;
                }
            }
            // Handled where the connection is made and replaced.
            KeeperEvent::Held(_) | KeeperEvent::Gone(_) => {}
        }
    }

    async fn keeper_exited(&mut self, exited: Exited) {
        let Exited { attempt, exit, totals, result, run_us, tree_gone, at: _ } = exited;
        self.exited(attempt, exit, totals, result, run_us, tree_gone);
        if is_direct(attempt) {
            self.executors.forget(attempt).await;
        }
    }

    /// What comes from the side of the containers.
    pub(crate) async fn docker_event(&mut self, event: DockerEvent) {
        match event {
            DockerEvent::Answers(there) => {
                let text = if there { "The Docker engine answers" } else { "The Docker engine is away" };
                tracing::info!("{text}");
                self.executors.docker.answers(there);
                self.give(Input::Docker(there && self.executors.policy.docker()));
            }
            DockerEvent::Found(attempts) => {
                let over = attempts.into_iter().filter(|attempt| !self.executors.in_keeper.contains(attempt));
                self.executors.docker.remove(over.collect());
            }
            DockerEvent::Over(exited, None) => self.keeper_exited(exited).await,
            DockerEvent::Over(exited, Some(why)) => {
                tracing::warn!(task_id = %exited.attempt.task, reason = why, "A container attempt is lost");
                if is_direct(exited.attempt) {
                    self.keeper_exited(Exited { exit: Exit::HandlerError(why), ..exited }).await;
                } else {
                    self.give(Input::KeeperLost { attempt: exited.attempt });
                }
            }
        }
    }

    /// A keeper was found or started. What this process believed in it and isn't is lost.
    pub(crate) async fn adopt(&mut self, held: HeldByKeeper) {
        let HeldByKeeper { level, pid, switches_user: _, attempts } = held;
        let there: BTreeSet<AttemptId> = attempts.iter().map(|kept| kept.attempt).collect();
        self.executors.docker.adopt(&there);
        tracing::info!(pid, kill_level = level.as_str(), attempts = there.len(), "Keeper reached");
        for attempt in std::mem::replace(&mut self.executors.in_keeper, there) {
            if self.executors.in_keeper.contains(&attempt) {
                continue;
            }
            if is_direct(attempt) {
                let exit = Exit::NotStarted("its keeper died".to_owned());
                self.exited(attempt, exit, Totals::default(), Vec::new(), 0, true);
            } else {
                self.give(Input::KeeperLost { attempt });
            }
        }
        let ours: BTreeSet<AttemptId> = self.direct.attempts().into_iter().collect();
        for kept in attempts.iter().filter(|kept| is_direct(kept.attempt) && !ours.contains(&kept.attempt)) {
            self.direct.orphan(kept.attempt);
            self.executors.kill(kept.attempt).await;
        }
        let kept = attempts.iter().filter(|kept| !is_direct(kept.attempt)).map(held_attempt).collect();
        self.give(Input::Kept(kept));
    }

    /// The keeper is gone: finds it again, or starts another, which first ends what the dead one left running.
    pub(crate) async fn keeper_gone(&mut self, why: &str) -> service::Result<()> {
        if self.leaving.is_over() {
            return Ok(());
        }
        tracing::error!(reason = why, held = self.executors.in_keeper.len(), "The keeper is gone; starting another");
        self.salvage().await;
        let (keeper, events, held) = open(&self.data_dir, &self.keeper_options).await?;
        self.executors.keeper = keeper;
        self.keeper_events = events;
        self.detached = false;
        // At once: what is started from here on is not in this list.
        self.adopt(held).await;
        Ok(())
    }

    /// Ends what a dead keeper left running, and takes over what is left of its output.
    async fn salvage(&mut self) {
        let mut custody = std::mem::take(&mut self.executors.custody);
        let held = self.session.held().filter(|held| held.phase == HeldPhase::Running);
        let held = held.filter(|held| self.executors.in_keeper.contains(&held.attempt));
        let orphans = held.map(|HeldAttempt { attempt, phase: _, totals }| Orphan {
            attempt,
            arrived: totals,
            custody: custody.remove(&attempt),
        });
        let (orphans, path) = (orphans.collect(), self.data_dir.path().to_owned());
        match tokio::task::spawn_blocking(move || keeper::salvage(&path, orphans)).await {
            Ok(Ok(Some(frames))) => {
                tracing::warn!(frames = frames.len(), "What the keeper left running is ended");
                frames.into_iter().for_each(|frame| self.give(Input::Frame(frame)));
            }
            // Its tasks run on.
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::error!(%error, "What the keeper left is not ended yet"),
            Err(error) => tracing::error!(%error, "What the keeper left is not ended yet"),
        }
    }
}

/// Finds or starts the keeper, and hears what it holds.
///
/// # Errors
/// It can't be started, or speaks another protocol.
pub(crate) async fn open(
    data_dir: &DataDir,
    options: &KeeperOptions,
) -> service::Result<(Keeper, mpsc::Receiver<KeeperEvent>, HeldByKeeper)> {
    let (keeper, mut events) = Keeper::open(data_dir.path(), options.clone()).await?;
    match events.recv().await {
        Some(KeeperEvent::Held(held)) if options.switches_user && !held.switches_user => {
            let text =
                format!("the keeper (process {}) is of an older build and runs commands as itself only", held.pid);
            Err(Fatal::new(text).hint("wait until its tasks have ended and end it, or start without --run-as").into())
        }
        Some(KeeperEvent::Held(held)) => Ok((keeper, events, held)),
        other => Err(Fatal::new(format!("the keeper does not say what it holds: {other:?}")).into()),
    }
}

fn held_attempt(kept: &KeptAttempt) -> HeldAttempt {
    let KeptAttempt { attempt, exited, totals: _, released } = *kept;
    // What isn't released comes again and is counted then.
    let phase = if exited { HeldPhase::Exited } else { HeldPhase::Running };
    HeldAttempt { attempt, phase, totals: released }
}
