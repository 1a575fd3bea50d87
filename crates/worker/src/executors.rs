//! Who runs an attempt: the keeper, or a handler of this process.

use crate::{
    Handler, Handlers,
    demo::Demo,
    docker::Docker,
    in_process::{Ended, InProcess},
    keeper::{Custody, Keeper, Launch, LaunchCommand, TaskUser},
    policy::Policy,
    run_as::RunAs,
    traced::Place,
};
use domain::{AttemptId, DockerRun, FrameNo, Result, Run, Spec, Start};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What became of a start.
#[derive(Debug)]
pub(crate) enum Started {
    /// The keeper has it and will tell.
    InKeeper,
    /// It runs in this process.
    Here,
    /// It ran in this process and is over.
    Over(Ended),
    /// Nobody here runs such a thing: why.
    Refused(String),
    /// This worker must not run it, now or later: why.
    Forbidden(String),
}

/// Everything that runs attempts.
pub(crate) struct Executors {
    /// What may run.
    pub policy: Policy,
    /// As whom commands run.
    pub run_as: Option<RunAs>,
    pub keeper: Keeper,
    /// What the keeper holds, as far as this process knows.
    pub in_keeper: BTreeSet<AttemptId>,
    /// What is held of some of them in case it dies.
    pub custody: BTreeMap<AttemptId, Custody>,
    pub in_process: InProcess,
    pub docker: Docker,
    /// Handlers that are commands, by name.
    pub commands: BTreeMap<String, String>,
    /// Handlers of this process, by name.
    pub handlers: Handlers,
    /// Whether what nobody knows is answered by the demo handler.
    pub demo: bool,
    pub grace: Duration,
}

impl Executors {
    /// Starts an attempt. If the keeper is gone, its end tells.
    pub async fn start(&mut self, start: Start, place: Place) -> Started {
        let Start { attempt, spec, class: _, entry } = start;
        // The one place that all starts pass, whoever asked for them.
        let spec: Spec = match self.policy.judge(Arc::unwrap_or_clone(spec)) {
            Ok(spec) => spec,
            Err(why) => return Started::Forbidden(why),
        };
        let handler = match spec.run {
            Run::Shell(mut shell) => {
                let place = place.variables(&shell.env);
                shell.env.extend(place);
                self.surround(&mut shell.env);
                return self.launch(attempt, LaunchCommand::Shell(shell), entry, spec.timeout).await;
            }
            Run::Docker(ref run) => {
                let place = match run {
                    DockerRun::Run(container) => place.variables(&container.env),
                    DockerRun::Start(_) | DockerRun::Stop(_) | DockerRun::Logs(_) => BTreeMap::new(),
                };
                return match self.docker.launch(attempt, &spec, run.clone(), place, self.grace) {
                    // Its tender is the worker's own program, and speaks to the engine.
                    Ok(command) => self.launch_as(None, attempt, command, entry, spec.timeout).await,
                    Err(why) => Started::Refused(why),
                };
            }
            Run::Handler(handler) => handler,
        };
        let payload = input(handler.payload, entry.as_deref());
        if let Some(command) = self.commands.get(&spec.name) {
            let mut env = place.variables(&BTreeMap::new());
            self.surround(&mut env);
            let command = LaunchCommand::Handler { command: command.clone(), payload, env };
            return self.launch(attempt, command, entry, spec.timeout).await;
        }
        let own: &dyn Handler = match self.handlers.get(&spec.name) {
            Some(handler) => &**handler,
            None if self.demo => &Demo,
            None => return Started::Refused(format!("this worker has no handler {}", spec.name)),
        };
        let over = self.in_process.start(attempt, own, payload, entry, place, spec.timeout);
        over.map_or(Started::Here, Started::Over)
    }

    /// What the user of commands finds in its environment.
    fn surround(&self, env: &mut BTreeMap<String, String>) {
        if let Some(user) = &self.run_as {
            user.surround(env);
        }
    }

    /// A command of a task or of a handler.
    async fn launch(
        &mut self,
        attempt: AttemptId,
        command: LaunchCommand,
        entry: Option<Arc<str>>,
        timeout: Option<Duration>,
    ) -> Started {
        let user = self.run_as.as_ref().map(RunAs::task_user);
        self.launch_as(user, attempt, command, entry, timeout).await
    }

    async fn launch_as(
        &mut self,
        user: Option<TaskUser>,
        attempt: AttemptId,
        command: LaunchCommand,
        entry: Option<Arc<str>>,
        timeout: Option<Duration>,
    ) -> Started {
        self.in_keeper.insert(attempt);
        let entry = entry.as_deref().map(str::to_owned);
        let grace = self.docker.grace(attempt, self.grace);
        let launch = Launch { attempt, command, entry, timeout, grace, user };
        gone_is_told(self.keeper.start(launch).await);
        Started::InKeeper
    }

    /// Ends an attempt.
    pub async fn kill(&mut self, attempt: AttemptId) {
        if !self.in_process.kill(attempt) {
            let grace = self.docker.grace(attempt, self.grace);
            gone_is_told(self.keeper.kill(attempt, grace).await);
        }
    }

    /// Frames up to this one are stored.
    pub async fn release(&mut self, attempt: AttemptId, frame: FrameNo) {
        if self.in_keeper.contains(&attempt) {
            gone_is_told(self.keeper.release(attempt, frame).await);
        }
    }

    /// All of an attempt is stored.
    pub async fn forget(&mut self, attempt: AttemptId) {
        self.custody.remove(&attempt);
        self.docker.forget(attempt);
        if self.in_keeper.remove(&attempt) {
            gone_is_told(self.keeper.forget(attempt).await);
        }
    }
}

/// What a handler reads. Members of an array share one payload; where there is none, each reads its entry.
fn input(payload: Vec<u8>, entry: Option<&str>) -> Vec<u8> {
    match entry {
        Some(entry) if payload.is_empty() => entry.as_bytes().to_vec(),
        Some(_) | None => payload,
    }
}

/// A command to a keeper that is gone needs no answer: the keeper's end comes as an event.
pub(crate) fn gone_is_told(result: Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "The keeper did not take a command");
    }
}
