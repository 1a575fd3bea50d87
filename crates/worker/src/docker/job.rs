//! What a worker tells a tender, on its stdin: environment and arguments of a process can be seen by others.

use domain::{AttemptId, AttemptNo, DockerRun, Run, Spec, TaskId};
use prost::Message;
use std::{path::PathBuf, time::Duration};
use wire::v1;

/// What is to be done, for whom, and where.
#[derive(Debug)]
pub(super) struct Job {
    pub attempt: AttemptId,
    pub run: DockerRun,
    /// The engine's.
    pub socket: PathBuf,
    /// From the stop signal to SIGKILL.
    pub grace: Duration,
    /// The container's labels of these names.
    pub owner: String,
    pub worker: String,
    /// Where to leave a note.
    pub note: PathBuf,
}

#[derive(Clone, PartialEq, Message)]
struct JobRecord {
    #[prost(bytes = "vec", tag = "1")]
    task: Vec<u8>,
    #[prost(uint32, tag = "2")]
    attempt: u32,
    #[prost(message, optional, tag = "3")]
    spec: Option<v1::TaskSpec>,
    #[prost(string, tag = "4")]
    socket: String,
    #[prost(uint64, tag = "5")]
    grace_us: u64,
    #[prost(string, tag = "6")]
    owner: String,
    #[prost(string, tag = "7")]
    worker: String,
    #[prost(string, tag = "8")]
    note: String,
}

impl Job {
    /// As it travels. The spec is that of the attempt; `self.run` is what it runs.
    pub fn encode(&self, spec: &Spec) -> Vec<u8> {
        let Self { attempt: AttemptId { task, no }, run: _, socket, grace, owner, worker, note } = self;
        JobRecord {
            task: task.to_bytes().to_vec(),
            attempt: no.0,
            spec: Some(v1::TaskSpec { array: None, ..v1::TaskSpec::from(spec) }),
            socket: socket.to_string_lossy().into_owned(),
            grace_us: u64::try_from(grace.as_micros()).unwrap_or(u64::MAX),
            owner: owner.clone(),
            worker: worker.clone(),
            note: note.to_string_lossy().into_owned(),
        }
        .encode_to_vec()
    }

    /// Back from [`Job::encode`].
    ///
    /// # Errors
    /// Why it is none, for people.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let JobRecord { task, attempt, spec, socket, grace_us, owner, worker, note } =
            JobRecord::decode(bytes).map_err(|error| error.to_string())?;
        let task = <[u8; TaskId::BYTES]>::try_from(task.as_slice()).map_err(|_| "no task".to_owned())?;
        let spec = Spec::try_from(spec.unwrap_or_default()).map_err(|error| error.text().to_owned())?;
        let Run::Docker(run) = spec.run else { return Err("no container task".to_owned()) };
        let attempt = AttemptId { task: TaskId::from_bytes(task), no: AttemptNo(attempt) };
        let (socket, note) = (socket.into(), note.into());
        Ok(Self { attempt, run, socket, grace: Duration::from_micros(grace_us), owner, worker, note })
    }
}
