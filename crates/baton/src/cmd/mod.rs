//! The commands: one file each.

pub mod backup;
pub mod bench;
pub mod ca;
pub mod cancel;
pub mod completions;
pub mod dev;
pub mod doctor;
pub mod drain;
pub mod explain;
pub mod get;
pub mod list;
pub mod logs;
pub mod progress;
pub mod queues;
pub mod retry;
pub mod run;
pub mod services;
pub mod submit;
pub mod token;
pub mod watch;
pub mod workers;
