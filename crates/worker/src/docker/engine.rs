//! The engine, as far as we use it, with errors that say what people need to know.
//!
//! Only what version 1.41 of the API has: bollard asks without a version, so the engine takes its newest.

use super::{ATTEMPT, OWNER, TASK, WORKER, container_name, job::Job};
use bollard::{
    ClientVersion, Docker,
    container::{AttachContainerResults, LogOutput},
    errors::Error,
    models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, HostConfigLogConfig},
    query_parameters::{
        AttachContainerOptions, CreateContainerOptions, CreateImageOptions, InspectContainerOptions,
        KillContainerOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions, StartContainerOptions,
        StopContainerOptions, WaitContainerOptions,
    },
};
use domain::{AttemptId, AttemptNo, Container, ContainerLimits};
use futures_util::{Stream, StreamExt as _, pin_mut};
use std::{collections::HashMap, path::Path, time::Duration};

/// How long the engine may take to begin an answer. Pulls begin theirs only when the registry has answered.
const ANSWER: Duration = Duration::from_secs(120);
/// bollard insists on one, and doesn't say it to the engine.
const VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };
/// A billionth of a core is the API's unit.
const NANO_CPUS_PER_MILLI: i64 = 1_000_000;

/// Why the engine didn't do something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// It can't be reached, or went away in between.
    Away(String),
    /// There is no such thing.
    Missing(String),
    /// It won't.
    Refused(String),
}

impl Trouble {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::Away(why) => format!("the Docker engine does not answer: {why}"),
            Self::Missing(why) | Self::Refused(why) => why.clone(),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => Self::Missing(message),
            Error::DockerResponseServerError { status_code: _, message } => Self::Refused(message),
            Error::DockerStreamError { error } => Self::Refused(error),
            error => {
                let mut innermost: &dyn std::error::Error = &error;
                while let Some(source) = innermost.source() {
                    innermost = source;
                }
                Self::Away(innermost.to_string())
            }
        }
    }
}

/// A connection is made for each call, so an engine that was away is found again.
#[derive(Clone)]
pub(super) struct Engine(Docker);

impl Engine {
    /// The engine behind this socket, whether or not it answers.
    pub fn at(socket: &Path) -> Result<Self, Trouble> {
        Ok(Self(Docker::connect_with_unix(&socket.to_string_lossy(), ANSWER.as_secs(), &VERSION)?))
    }

    /// Whether it answers by then.
    pub async fn answers(socket: &Path, within: Duration) -> Result<Self, Trouble> {
        let engine = Self::at(socket)?;
        match tokio::time::timeout(within, engine.0.ping()).await {
            Ok(answer) => answer.map(|_| ())?,
            Err(_) => return Err(Trouble::Away(format!("nothing was heard for {} s", within.as_secs()))),
        }
        Ok(engine)
    }

    /// Its version and its API's, as far as it says them.
    pub async fn version(&self) -> Result<(String, String), Trouble> {
        let said = self.0.version().await?;
        Ok((said.version.unwrap_or_default(), said.api_version.unwrap_or_default()))
    }

    /// Whether it has this image.
    pub async fn has_image(&self, image: &str) -> Result<bool, Trouble> {
        match self.0.inspect_image(image).await.map_err(Trouble::from) {
            Ok(_) => Ok(true),
            Err(Trouble::Missing(_)) => Ok(false),
            Err(trouble @ (Trouble::Away(_) | Trouble::Refused(_))) => Err(trouble),
        }
    }

    /// Fetches an image from its registry.
    pub async fn pull(&self, image: &str) -> Result<(), Trouble> {
        // Without a tag the engine would fetch all of them.
        let named = image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        let tag = (!named).then(|| "latest".to_owned());
        let options = CreateImageOptions { from_image: Some(image.to_owned()), tag, ..Default::default() };
        let steps = self.0.create_image(Some(options), None, None);
        pin_mut!(steps);
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    }

    /// Makes an attempt's container, without starting it.
    pub async fn create(&self, job: &Job, container: &Container, env: Vec<String>) -> Result<(), Trouble> {
        let Container { image, command, env: _, working_dir, limits } = container;
        let ContainerLimits { memory_bytes, cpu_millis, pids } = *limits;
        let memory = memory_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let host_config = HostConfig {
            memory,
            // The same number: no swap beyond it.
            memory_swap: memory,
            nano_cpus: cpu_millis.map(|millis| i64::from(millis) * NANO_CPUS_PER_MILLI),
            pids_limit: pids.map(i64::from),
            // Signals reach what ignores them as the first process, and orphans are reaped.
            init: Some(true),
            auto_remove: Some(false),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            // The output is taken as it is written: the engine's log would keep it a second time, without a limit.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..Default::default()
        };
        let label = |name: &str, value: String| (name.to_owned(), value);
        let AttemptId { task, no } = job.attempt;
        let labels = HashMap::from([
            label(OWNER, job.owner.clone()),
            label(WORKER, job.worker.clone()),
            label(TASK, task.to_string()),
            label(ATTEMPT, no.to_string()),
        ]);
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            cmd: (!command.is_empty()).then(|| command.clone()),
            env: Some(env),
            working_dir: working_dir.clone(),
            labels: Some(labels),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(host_config),
            ..Default::default()
        };
        let options = CreateContainerOptions { name: Some(container_name(job.attempt)), ..Default::default() };
        self.0.create_container(Some(options), body).await?;
        Ok(())
    }

    /// What a container writes from now on, as it writes it.
    pub async fn attach(
        &self,
        container: &str,
    ) -> Result<impl Stream<Item = Result<LogOutput, Error>> + Unpin + use<>, Trouble> {
        let options = AttachContainerOptions { stream: true, stdout: true, stderr: true, ..Default::default() };
        let AttachContainerResults { output, input: _ } = self.0.attach_container(container, Some(options)).await?;
        Ok(output)
    }

    /// Starts it, if it doesn't run.
    pub async fn start(&self, container: &str) -> Result<(), Trouble> {
        Ok(self.0.start_container(container, None::<StartContainerOptions>).await?)
    }

    /// How it stands.
    pub async fn inspect(&self, container: &str) -> Result<ContainerInspectResponse, Trouble> {
        Ok(self.0.inspect_container(container, None::<InspectContainerOptions>).await?)
    }

    /// Its exit code, once it doesn't run.
    pub async fn exit_code(&self, container: &str) -> Result<i64, Trouble> {
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        let answers = self.0.wait_container(container, Some(options));
        pin_mut!(answers);
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            // That is how bollard says any code but 0.
            Some(Err(Error::DockerContainerWaitError { error: _, code })) => Ok(code),
            Some(Err(error)) => Err(error.into()),
            None => Err(Trouble::Away("it hung up".to_owned())),
        }
    }

    /// Sends it a signal. One that doesn't run needs none.
    pub async fn signal(&self, container: &str, signal: &str) -> Result<(), Trouble> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        match self.0.kill_container(container, Some(options)).await {
            Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Stops it as people would: its stop signal, then SIGKILL.
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<(), Trouble> {
        let seconds = i32::try_from(grace.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX);
        let options = StopContainerOptions { signal: None, t: Some(seconds) };
        Ok(self.0.stop_container(container, Some(options)).await?)
    }

    /// Ends and removes it, with its anonymous volumes. One that isn't there is removed.
    pub async fn remove(&self, container: &str) -> Result<(), Trouble> {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match self.0.remove_container(container, Some(options)).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            done => Ok(done?),
        }
    }

    /// What it has written so far, as the engine kept it.
    pub fn logs(&self, container: &str) -> impl Stream<Item = Result<LogOutput, Error>> + Unpin + use<> {
        let options = LogsOptions { stdout: true, stderr: true, tail: "all".to_owned(), ..Default::default() };
        self.0.logs(container, Some(options)).boxed()
    }

    /// Containers that this owner's attempts have made.
    pub async fn owned(&self, owner: &str) -> Result<Vec<AttemptId>, Trouble> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{OWNER}={owner}")])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let found = self.0.list_containers(Some(options)).await?;
        Ok(found.into_iter().filter_map(|one| attempt_of(&one.labels?)).collect())
    }
}

fn attempt_of(labels: &HashMap<String, String>) -> Option<AttemptId> {
    let no = AttemptNo(labels.get(ATTEMPT)?.parse().ok()?);
    Some(AttemptId { task: labels.get(TASK)?.parse().ok()?, no })
}
