//! Containers: what may be asked of a worker's Docker engine.
//!
//! Ids and names go into the paths of the engine's API, so nothing that means something in a path passes the check.

use crate::spec::check_env;
use crate::{Error, Result, limits};
use std::collections::BTreeMap;

/// What a container task does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DockerRun {
    /// A new container, until it exits; it is removed after that.
    Run(Container),
    /// An existing one is started, until it exits.
    Start(ContainerName),
    /// An existing one is stopped.
    Stop(ContainerName),
    /// What an existing one has written so far.
    Logs(ContainerName),
}

/// Id or name of an existing container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerName(pub String);

/// A container to make.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Container {
    /// Pulled if the engine doesn't have it.
    pub image: String,
    /// Instead of the image's own command; empty: that one.
    pub command: Vec<String>,
    /// Added to the image's environment.
    pub env: BTreeMap<String, String>,
    /// Instead of the image's.
    pub working_dir: Option<String>,
    /// What it may use.
    pub limits: ContainerLimits,
}

/// What a container may use; `None`: no limit of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContainerLimits {
    /// Bytes of memory, swap included.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

impl DockerRun {
    /// All operations, as they are called on every surface.
    pub const OPERATIONS: [&str; 4] = ["run", "start", "stop", "logs"];

    /// The operation's word.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Logs(_) => "logs",
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Run(container) => container.check(),
            Self::Start(ContainerName(name)) | Self::Stop(ContainerName(name)) | Self::Logs(ContainerName(name)) => {
                check_name(self.operation(), name)
            }
        }
    }
}

impl Container {
    fn check(&self) -> Result<()> {
        let Self { image, command, env, working_dir, limits } = self;
        if image.is_empty() {
            return Err(Error::field("docker.image", "must not be empty: run needs an image"));
        }
        if image.len() > limits::IMAGE_BYTES {
            return Err(Error::field("docker.image", format!("is over {} bytes", limits::IMAGE_BYTES)));
        }
        if image.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Error::field("docker.image", "must not contain blanks or control characters"));
        }
        if command.iter().map(|word| word.len() + 1).sum::<usize>() > limits::COMMAND_BYTES {
            return Err(Error::field("docker.command", format!("is over {} bytes", limits::COMMAND_BYTES)));
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err(Error::field("docker.command", "must not contain a NUL byte"));
        }
        if working_dir.as_ref().is_some_and(|dir| !dir.starts_with('/') || dir.contains('\0')) {
            return Err(Error::field("docker.working_dir", "must be an absolute path"));
        }
        check_env("docker.env", env)?;
        limits.check()
    }
}

impl ContainerLimits {
    fn check(self) -> Result<()> {
        let Self { memory_bytes, cpu_millis, pids: _ } = self;
        let memory = limits::CONTAINER_MEMORY_BYTES..=i64::MAX as u64;
        if memory_bytes.is_some_and(|bytes| !memory.contains(&bytes)) {
            return Err(Error::field("docker.memory_bytes", "must be 0 (without limit) or at least 6 MiB"));
        }
        if cpu_millis.is_some_and(|millis| millis < limits::CONTAINER_CPU_MILLIS) {
            let text = format!("must be 0 (without limit) or at least {}", limits::CONTAINER_CPU_MILLIS);
            return Err(Error::field("docker.cpu_millis", text));
        }
        Ok(())
    }
}

/// As the engine has it: a letter or digit, then letters, digits, `_`, `.` and `-`.
fn check_name(operation: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::field("docker.container_id", format!("must not be empty: {operation} needs one")));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.len() > limits::WORD_CHARS
        || !name.chars().all(plain)
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return Err(Error::field("docker.container_id", "is no id or name of a container"));
    }
    Ok(())
}
