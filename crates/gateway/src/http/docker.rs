//! Containers: as seed N's clients ask for them, and as part of any spec.

use super::{
    Shared,
    extract::Body,
    refusal::Refusal,
    submit::{Accepted, Receipt, patience},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use wire::v1;

/// A container to run, or something to do with one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DockerTask {
    /// The worker that is to do it; without it any that has a Docker engine does. Containers are known only where they are.
    agent_id: Option<String>,
    /// run, start, stop or logs.
    operation: String,
    /// For run, which needs it.
    image: Option<String>,
    /// Id or name, for start, stop and logs, which need it.
    id: Option<String>,
    /// For run: instead of the image's own command.
    #[serde(default)]
    command: Vec<String>,
    /// For run: added to the image's environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Seconds that it may run and, with an `agent_id`, wait for that worker; 300 if nothing is said.
    timeout: Option<i32>,
}

/// A container, or something to do with one.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Docker {
    /// run, start, stop or logs; empty means run.
    operation: String,
    /// For run, which needs it. Pulled if the engine doesn't have it.
    image: String,
    /// Id or name, for start, stop and logs, which need it.
    container_id: String,
    /// For run: instead of the image's own command.
    command: Vec<String>,
    /// For run: added to the image's environment.
    env: BTreeMap<String, String>,
    /// For run: an absolute path in the container; empty means the image's.
    working_dir: String,
    /// For run: bytes of memory, swap included, at least 6 MiB; 0 means without limit.
    memory_bytes: u64,
    /// For run: thousandths of a core, at least 10; 0 means without limit.
    cpu_millis: u32,
    /// For run: processes and threads; 0 means without limit.
    pids: u32,
}

impl DockerTask {
    fn spec(self) -> Result<v1::TaskSpec, Refusal> {
        let Self { agent_id, operation, image, id, command, env, timeout } = self;
        if operation.is_empty() {
            return Err(Refusal::wrong("operation: must be run, start, stop or logs"));
        }
        // Older clients may send both; each operation looks at one.
        let (image, id) = if operation == "run" { (image, None) } else { (None, id) };
        let (image, container_id) = (image.unwrap_or_default(), id.unwrap_or_default());
        let docker = Docker { operation, image, container_id, command, env, ..Docker::default() };
        let name = docker.name();
        let spec = patience(agent_id, timeout)?;
        Ok(v1::TaskSpec { name, run: Some(v1::task_spec::Run::Docker(docker.wire())), ..spec })
    }
}

impl Docker {
    /// What a task is called that has no name of its own.
    pub fn name(&self) -> String {
        let what = if self.image.is_empty() { &self.container_id } else { &self.image };
        super::spec::name_of(&format!("{} {what}", self.verb()))
    }

    fn verb(&self) -> &str {
        if self.operation.is_empty() { "run" } else { &self.operation }
    }

    pub fn wire(self) -> v1::DockerRun {
        let operation = self.verb().to_owned();
        let Self { operation: _, image, container_id, command, env, working_dir, memory_bytes, cpu_millis, pids } =
            self;
        let env = env.into_iter().collect();
        v1::DockerRun { operation, image, container_id, command, env, memory_bytes, cpu_millis, pids, working_dir }
    }
}

impl From<v1::DockerRun> for Docker {
    fn from(docker: v1::DockerRun) -> Self {
        let v1::DockerRun { operation, image, container_id, command, env, memory_bytes, cpu_millis, pids, working_dir } =
            docker;
        let env = env.into_iter().collect();
        Self { operation, image, container_id, command, env, working_dir, memory_bytes, cpu_millis, pids }
    }
}

/// Runs a container, or does something with one.
#[utoipa::path(post, path = "/tasks/docker", operation_id = "submit_docker", tag = "tasks", request_body = DockerTask,
    responses((status = 200, description = "It is on disk", body = Accepted, headers(("baton-receipt" = String, description = "For later calls")))))]
pub(super) async fn docker(
    State(app): State<Shared>,
    Body(task): Body<DockerTask>,
) -> Result<(Receipt, Json<Accepted>), Refusal> {
    let spec = task.spec()?;
    let agent_id = spec.worker.clone();
    let accepted = app.submit(spec).await.map_err(super::submit::seed_names)?;
    Ok((Receipt::of(&accepted), Json(Accepted::new(accepted, agent_id))))
}
