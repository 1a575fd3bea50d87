//! The file: TOML, in which every key is known and has its type. What is wrong is said with the key and its line.

use super::glob::Glob;
use serde::Deserialize;
use service::Fatal;
use std::{fs, path::Path, time::Duration};

/// What is allowed. What isn't named isn't.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// The user, and with `:` the group, of all commands.
    pub run_as: Option<String>,
    pub commands: Option<Commands>,
    #[serde(default)]
    pub handlers: Handlers,
    pub docker: Option<Docker>,
    #[serde(default)]
    pub limits: Limits,
}

/// Commands: anything, or some programs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commands {
    /// Lines for the shell, and so anything.
    #[serde(default)]
    pub shell: bool,
    /// Programs that are started without a shell, with whatever arguments, by their absolute paths.
    #[serde(default)]
    pub programs: Vec<Glob>,
    /// Variables that a task may set for them.
    #[serde(default)]
    pub env: Vec<Glob>,
    /// Directories that a task may have them started in, beside its own.
    #[serde(default)]
    pub working_dirs: Vec<Glob>,
}

/// Handlers of this worker, by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handlers {
    #[serde(default)]
    pub names: Vec<Glob>,
}

/// Containers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Docker {
    #[serde(default = "run_only")]
    pub operations: Vec<Operation>,
    /// As tasks name them.
    #[serde(default)]
    pub images: Vec<Glob>,
    /// Existing containers that may be started, stopped or read.
    #[serde(default)]
    pub containers: Vec<Glob>,
    /// The most that a container may ask for; one that asks for nothing gets this.
    pub memory: Option<Bytes>,
    pub cpus: Option<Cores>,
    pub pids: Option<u32>,
}

/// What holds for every task.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// The most that a task may ask for; one that asks for none gets this.
    pub timeout: Option<Length>,
}

/// What is done with the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Run,
    Start,
    Stop,
    Logs,
}

impl Operation {
    /// As tasks call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Logs => "logs",
        }
    }
}

fn run_only() -> Vec<Operation> {
    vec![Operation::Run]
}

/// A size such as `2GiB`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bytes(u64);

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match service::size(&text)? {
            0 => Err("must be more than 0".to_owned()),
            bytes => Ok(Self(bytes)),
        }
    }
}

impl From<Bytes> for u64 {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

/// Cores, such as `1.5`; held in thousandths.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct Cores(u32);

impl TryFrom<f64> for Cores {
    type Error = String;

    fn try_from(cores: f64) -> Result<Self, String> {
        let millis = (cores * 1_000.0).round();
        if !(f64::from(domain::limits::CONTAINER_CPU_MILLIS)..=f64::from(u32::MAX)).contains(&millis) {
            return Err("must be a number of cores, at least 0.01".to_owned());
        }
        Ok(Self(millis as u32))
    }
}

impl From<Cores> for u32 {
    fn from(cores: Cores) -> Self {
        cores.0
    }
}

/// A length of time such as `1h`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Length(Duration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match service::duration(&text)? {
            Duration::ZERO => Err("must be more than 0".to_owned()),
            length => Ok(Self(length)),
        }
    }
}

impl From<Length> for Duration {
    fn from(length: Length) -> Self {
        length.0
    }
}

/// Whether one of these patterns fits.
pub(super) fn any(patterns: &[Glob], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

impl Rules {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, Fatal> {
        let shown = path.display();
        let text =
            fs::read_to_string(path).map_err(|error| Fatal::new(format!("cannot read policy {shown}: {error}")))?;
        Self::parse(&text).map_err(|why| {
            Fatal::new(format!("policy {shown}: {}", why.trim_end())).hint("nothing runs until the policy is clear")
        })
    }

    /// As in the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rules: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if let Some(commands) = &rules.commands {
            commands.check()?;
        }
        if let Some(docker) = &rules.docker {
            docker.check()?;
        }
        Ok(rules)
    }
}

impl Commands {
    /// Rules that would limit nothing, or that nothing could meet, are mistakes.
    fn check(&self) -> Result<(), String> {
        let Self { shell, programs, env, working_dirs } = self;
        let rest = [("programs", programs), ("env", env), ("working_dirs", working_dirs)];
        if *shell && let Some((key, _)) = rest.iter().find(|(_, list)| !list.is_empty()) {
            return Err(format!(
                "[commands] {key}: limits nothing where shell = true, since a shell can start anything"
            ));
        }
        if !*shell && programs.is_empty() {
            return Err("[commands]: needs shell = true, or programs; without [commands] none are run".to_owned());
        }
        for (key, list) in [("programs", programs), ("working_dirs", working_dirs)] {
            if list.iter().any(|pattern| !pattern.is_absolute()) {
                return Err(format!("[commands] {key}: must be absolute paths"));
            }
        }
        Ok(())
    }
}

impl Docker {
    fn check(&self) -> Result<(), String> {
        for operation in &self.operations {
            let (key, list) = match operation {
                Operation::Run => ("images", &self.images),
                Operation::Start | Operation::Stop | Operation::Logs => ("containers", &self.containers),
            };
            if list.is_empty() {
                return Err(format!("[docker] {key}: must not be empty where operations has {}", operation.as_str()));
            }
        }
        Ok(())
    }
}
