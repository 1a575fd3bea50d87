//! The worker's own policy: what it runs, whatever its scheduler says. Every start passes here, by whatever way it came.
//!
//! It must never trust what a task says of itself, and never allow what the file doesn't name.

mod file;
mod glob;
mod program;

use domain::{Container, ContainerLimits, ContainerName, DockerRun, Run, Spec, WorkerId};
use file::{Docker, Rules};
use service::{Fatal, show_size};
use std::{path::Path, time::Duration};

/// What this worker may run.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// For what is said.
    worker: WorkerId,
    rules: Option<Box<Rules>>,
}

impl Policy {
    /// That of this file; without one, everything is allowed.
    ///
    /// # Errors
    /// The file can't be read, or what is wrong in it: the key and its line.
    pub fn read(worker: WorkerId, file: Option<&Path>) -> Result<Self, Fatal> {
        let rules = file.map(Rules::read).transpose()?.map(Box::new);
        Ok(Self { worker, rules })
    }

    /// Whether there is one: then nobody's work is answered by the demo handler.
    pub fn is_given(&self) -> bool {
        self.rules.is_some()
    }

    /// As whom commands run.
    pub fn run_as(&self) -> Option<&str> {
        self.rules.as_ref().and_then(|rules| rules.run_as.as_deref())
    }

    /// Whether it may run any command at all.
    pub fn commands(&self) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.commands.is_some())
    }

    /// Whether it may use its Docker engine at all.
    pub fn docker(&self) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.docker.is_some())
    }

    /// Whether it may run this handler.
    pub fn handler(&self, name: &str) -> bool {
        self.rules.as_ref().is_none_or(|rules| file::any(&rules.handlers.names, name))
    }

    /// What may run of what is asked for: the same, or with limits that nobody asked for.
    ///
    /// # Errors
    /// What isn't allowed, by which rule, for people.
    pub fn judge(&self, mut spec: Spec) -> Result<Spec, String> {
        let Some(rules) = &self.rules else { return Ok(spec) };
        let judged = (|| {
            spec.timeout = timeout(rules.limits.timeout.map(Duration::from), spec.timeout)?;
            spec.run = match spec.run {
                Run::Shell(shell) => match &rules.commands {
                    None => return Err("commands ([commands])".to_owned()),
                    Some(commands) => Run::Shell(program::judge(commands, shell)?),
                },
                Run::Docker(run) => match &rules.docker {
                    None => return Err("containers ([docker])".to_owned()),
                    Some(docker) => Run::Docker(container(docker, run)?),
                },
                Run::Handler(handler) if file::any(&rules.handlers.names, &spec.name) => Run::Handler(handler),
                Run::Handler(_) => return Err(format!("the handler {} ([handlers] names)", spec.name)),
            };
            Ok(spec)
        })();
        judged.map_err(|what| format!("the policy of worker {} does not allow {what}", self.worker))
    }
}

fn timeout(most: Option<Duration>, asked: Option<Duration>) -> Result<Option<Duration>, String> {
    match (most, asked) {
        (Some(most), Some(asked)) if asked > most => {
            Err(format!("a timeout of {} s, at most {} s ([limits] timeout)", asked.as_secs_f64(), most.as_secs_f64()))
        }
        (most, asked) => Ok(asked.or(most)),
    }
}

fn container(rules: &Docker, run: DockerRun) -> Result<DockerRun, String> {
    let operation = run.operation();
    if !rules.operations.iter().any(|allowed| allowed.as_str() == operation) {
        return Err(format!("docker {operation} ([docker] operations)"));
    }
    match run {
        DockerRun::Run(container) => {
            if !file::any(&rules.images, &container.image) {
                return Err(format!("the image {} ([docker] images)", container.image));
            }
            let limits = limits(rules, container.limits)?;
            Ok(DockerRun::Run(Container { limits, ..container }))
        }
        DockerRun::Start(ContainerName(ref name))
        | DockerRun::Stop(ContainerName(ref name))
        | DockerRun::Logs(ContainerName(ref name)) => match file::any(&rules.containers, name) {
            true => Ok(run),
            false => Err(format!("the container {name} ([docker] containers)")),
        },
    }
}

fn limits(rules: &Docker, asked: ContainerLimits) -> Result<ContainerLimits, String> {
    let ContainerLimits { memory_bytes, cpu_millis, pids } = asked;
    let (most_memory, most_cpu) = (rules.memory.map(u64::from), rules.cpus.map(u32::from));
    if let (Some(most), Some(asked)) = (most_memory, memory_bytes)
        && asked > most
    {
        return Err(format!("memory of {}, at most {} ([docker] memory)", show_size(asked), show_size(most)));
    }
    if let (Some(most), Some(asked)) = (most_cpu, cpu_millis)
        && asked > most
    {
        let cores = |millis: u32| f64::from(millis) / 1_000.0;
        return Err(format!("{} cores, at most {} ([docker] cpus)", cores(asked), cores(most)));
    }
    if let (Some(most), Some(asked)) = (rules.pids, pids)
        && asked > most
    {
        return Err(format!("{asked} processes, at most {most} ([docker] pids)"));
    }
    Ok(ContainerLimits {
        memory_bytes: memory_bytes.or(most_memory),
        cpu_millis: cpu_millis.or(most_cpu),
        pids: pids.or(rules.pids),
    })
}

#[cfg(test)]
mod tests;
