//! Container tasks, by the Engine API.
//!
//! Each attempt has a *tender*: this program again, started by the keeper like any command, which makes the container,
//! passes its output on as its own, ends it when it is told to end itself, and takes its exit code. So whatever holds for
//! commands holds for containers: the keeper numbers and spools the output, blocks it when nobody takes it, measures the
//! timeout, and keeps all that while the worker is away.
//!
//! Must never leave a container of an attempt that is over: what a tender couldn't remove, its worker removes, by the
//! labels.

mod engine;
mod examine;
mod host;
mod job;
mod note;
mod tender;
mod watch;

pub use examine::FoundEngine;
pub use host::DockerHost;
pub use tender::tend;
pub(crate) use watch::{Docker, DockerEvent, TENDER, answers};

use domain::AttemptId;

/// Label of a container: the worker's data directory that it belongs to.
const OWNER: &str = "baton.owner";
/// Label: the worker's name, for people.
const WORKER: &str = "baton.worker";
/// Label: the task.
const TASK: &str = "baton.task";
/// Label: the attempt's number.
const ATTEMPT: &str = "baton.attempt";

/// The name of an attempt's container.
fn container_name(attempt: AttemptId) -> String {
    format!("baton-{}-{}", attempt.task, attempt.no)
}
