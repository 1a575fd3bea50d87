//! The worker: holds a session with its scheduler, has commands run by its keeper and handlers in its own process.
//!
//! Two processes: this one speaks to the scheduler, the [`keeper`] starts the tasks and holds their pipes, so that a
//! worker which crashes or is upgraded finds its tasks again. It must never decide what runs where, and never drop what
//! the scheduler hasn't acknowledged.

mod contact;
mod core;
mod custody;
mod data_dir;
mod demo;
mod direct;
mod docker;
mod effects;
mod executors;
mod grpc;
mod handler;
mod in_process;
mod join;
pub mod keeper;
mod leaving;
mod link;
mod meters;
mod options;
mod policy;
mod run;
mod run_as;
mod seen;
mod traced;
mod transport;

pub use docker::{DockerHost, FoundEngine, tend};
pub use domain::AttemptId;
pub use handler::{Handler, HandlerContext, HandlerFuture, Handlers};
pub use join::{Join, Line, Verb};
pub use options::Options;
pub use run::{Embedding, main, run, serve};
