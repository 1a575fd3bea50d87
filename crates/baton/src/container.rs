//! `--docker` and what belongs to it: a task that is a container.

use clap::Args;
use std::collections::BTreeMap;
use wire::v1;

/// Thousandths of a core in one.
const MILLIS: f64 = 1_000.0;

#[derive(Args, Default)]
pub struct ContainerOptions {
    /// Run a container of this image instead: COMMAND, word by word, are the arguments of its entry point; without any, the
    /// image's own
    #[arg(long, value_name = "IMAGE", conflicts_with = "stdin")]
    pub docker: Option<String>,
    /// Memory of the container, swap included, such as 512MiB [default: without limit]
    #[arg(long, value_name = "SIZE", value_parser = service::size, requires = "docker")]
    pub memory: Option<u64>,
    /// Cores of the container, such as 1.5 [default: without limit]
    #[arg(long, value_name = "N", value_parser = cpus, requires = "docker")]
    pub cpus: Option<u32>,
    /// Processes and threads of the container [default: without limit]
    #[arg(long, value_name = "N", requires = "docker")]
    pub pids: Option<u32>,
}

impl ContainerOptions {
    /// What is to be run, if it is a container.
    pub fn run(self, command: &[String], env: &BTreeMap<String, String>) -> Option<v1::DockerRun> {
        let Self { docker, memory, cpus, pids } = self;
        Some(v1::DockerRun {
            operation: "run".into(),
            image: docker?,
            container_id: String::new(),
            command: command.to_vec(),
            env: env.clone(),
            memory_bytes: memory.unwrap_or(0),
            cpu_millis: cpus.unwrap_or(0),
            pids: pids.unwrap_or(0),
            working_dir: String::new(),
        })
    }
}

/// Cores as people say them, in thousandths of one. What is too little is for others to say.
fn cpus(text: &str) -> Result<u32, String> {
    let number = text.parse::<f64>().ok().filter(|n| *n > 0.0 && *n <= f64::from(u16::MAX));
    let millis = number.map(|n| (n * MILLIS).round()).ok_or("must be a number such as 2 or 0.5")?;
    // Between 0 and 66 millions.
    Ok(millis as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_may_be_parts_of_one() {
        assert_eq!((cpus("2"), cpus("0.5"), cpus("1.25")), (Ok(2_000), Ok(500), Ok(1_250)));
        for bad in ["0", "-1", "x", "inf", "nan", "1e9"] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
    }
}
