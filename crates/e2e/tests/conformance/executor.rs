//! The ways to run a script, and where its bytes are found.

use e2e::{Cluster, Engine, IMAGE, finished, output_of};
use wire::v1::{self, task_spec::Run};

/// Who runs a task.
pub enum Executor {
    Shell,
    /// A command that takes the payload as its script; its stdout is the result.
    Handler,
    Docker(Engine),
}

/// The handler's name.
const HANDLER: &str = "script";
/// Between SIGTERM and SIGKILL.
const GRACE: &str = "1s";

impl Executor {
    /// A cluster with one worker that has it.
    pub fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::empty();
        cluster.slots = 16;
        cluster.worker_args = vec!["--kill-grace".into(), GRACE.into()];
        cluster.worker_args.extend(match self {
            Self::Shell => vec!["--docker-host".into(), "none".into()],
            Self::Handler => vec!["--handler".into(), format!("{HANDLER}=sh"), "--docker-host".into(), "none".into()],
            Self::Docker(engine) => vec!["--docker-host".into(), engine.host()],
        });
        cluster.start_scheduler();
        cluster.start_gateway();
        cluster.start_worker(0);
        cluster
    }

    /// A task that runs this script by a shell.
    pub fn task(&self, script: &str) -> v1::TaskSpec {
        match self {
            Self::Shell => e2e::shell(script),
            Self::Handler => v1::TaskSpec { name: HANDLER.into(), payload: script.into(), ..Default::default() },
            Self::Docker(_) => container(&["sh", "-c", script]),
        }
    }

    /// What a finished task's stdout was.
    pub async fn stdout(&self, cluster: &Cluster, id: &str) -> Vec<u8> {
        match self {
            Self::Shell | Self::Docker(_) => output_of(&cluster.client(), id, v1::OutputStream::Stdout).await,
            Self::Handler => finished(&cluster.client(), id).await.result,
        }
    }

    /// Whether tasks can say how far they are: a container has no way to.
    pub fn has_progress(&self) -> bool {
        match self {
            Self::Shell | Self::Handler => true,
            Self::Docker(_) => false,
        }
    }

    /// Nothing of any task is left.
    pub fn nothing_is_left(&self) {
        if let Self::Docker(engine) = self {
            engine.empty("the end of all tasks");
        }
    }
}

/// A container task.
pub fn container(command: &[&str]) -> v1::TaskSpec {
    docker(v1::DockerRun {
        operation: "run".into(),
        image: IMAGE.into(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        ..Default::default()
    })
}

/// Any container task.
pub fn docker(run: v1::DockerRun) -> v1::TaskSpec {
    v1::TaskSpec { name: "container".into(), run: Some(Run::Docker(run)), ..Default::default() }
}
