//! The scheduler: owns the tasks. Its loop feeds the driver, its store makes decisions durable, its story tells readers.
//!
//! Nothing here decides anything about tasks: that is the engine's. Must never answer, start or tell anything that isn't
//! committed.

pub mod backup;
mod check;
mod clock;
mod core;
mod disk;
pub mod doctor;
mod enrol;
mod gap;
mod gauges;
mod grpc;
mod mailbox;
mod options;
mod outbox;
mod reign;
mod replies;
mod rest;
mod retention;
mod run;
mod scopes;
mod seal;
pub mod story;
#[cfg(test)]
mod tests;
mod tokens;
mod traced;
mod view;

pub use mailbox::Handle;
pub use options::{DiskOptions, Options};
pub use run::{main, run};
pub use scopes::SCOPES;
pub use view::View;
