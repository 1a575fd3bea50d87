//! Container tasks: `DockerRun` on the wire <-> [`DockerRun`].

use crate::v1;
use domain::{Container, ContainerLimits, ContainerName, DockerRun, Error, Result};

/// Reads a container task. A field that the operation doesn't look at is refused: whoever set it expected something of it.
pub(crate) fn docker(wire: v1::DockerRun) -> Result<DockerRun> {
    let v1::DockerRun { operation, image, container_id, command, env, memory_bytes, cpu_millis, pids, working_dir } =
        wire;
    let of_run = [
        ("docker.image", !image.is_empty()),
        ("docker.command", !command.is_empty()),
        ("docker.env", !env.is_empty()),
        ("docker.memory_bytes", memory_bytes != 0),
        ("docker.cpu_millis", cpu_millis != 0),
        ("docker.pids", pids != 0),
        ("docker.working_dir", !working_dir.is_empty()),
    ];
    let existing = |verb: fn(ContainerName) -> DockerRun| match of_run.iter().find(|(_, set)| *set) {
        Some((field, _)) => Err(Error::field(field, format!("is for run, and has no meaning for {operation}"))),
        None => Ok(verb(ContainerName(container_id.clone()))),
    };
    match operation.as_str() {
        "run" if !container_id.is_empty() => {
            Err(Error::field("docker.container_id", "is for start, stop and logs; run makes a container of its own"))
        }
        "run" => {
            let limits =
                ContainerLimits { memory_bytes: some(memory_bytes), cpu_millis: some(cpu_millis), pids: some(pids) };
            let working_dir = if working_dir.is_empty() { None } else { Some(working_dir) };
            Ok(DockerRun::Run(Container { image, command, env, working_dir, limits }))
        }
        "start" => existing(DockerRun::Start),
        "stop" => existing(DockerRun::Stop),
        "logs" => existing(DockerRun::Logs),
        _ => Err(Error::field("docker.operation", format!("must be one of {}", DockerRun::OPERATIONS.join(", ")))),
    }
}

/// A container task as it travels.
pub(crate) fn v1_docker(run: &DockerRun) -> v1::DockerRun {
    let operation = run.operation().to_owned();
    match run {
        DockerRun::Run(Container { image, command, env, working_dir, limits }) => {
            let ContainerLimits { memory_bytes, cpu_millis, pids } = *limits;
            v1::DockerRun {
                operation,
                image: image.clone(),
                container_id: String::new(),
                command: command.clone(),
                env: env.clone(),
                memory_bytes: memory_bytes.unwrap_or(0),
                cpu_millis: cpu_millis.unwrap_or(0),
                pids: pids.unwrap_or(0),
                working_dir: working_dir.clone().unwrap_or_default(),
            }
        }
        DockerRun::Start(ContainerName(name))
        | DockerRun::Stop(ContainerName(name))
        | DockerRun::Logs(ContainerName(name)) => {
            v1::DockerRun { operation, container_id: name.clone(), ..Default::default() }
        }
    }
}

/// 0 is without limit.
fn some<T: Default + PartialEq>(value: T) -> Option<T> {
    if value == T::default() { None } else { Some(value) }
}
