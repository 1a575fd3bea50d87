//! Measuring: how many tasks a second, how soon, how much output, how long a backlog, and what doing nothing costs; of services
//! that run, or of some that are started for it.
//!
//! Must never make anything less durable than it is in use: what is started runs with the settings that everybody has.

mod backlog;
mod idle;
mod latency;
mod machine;
mod output;
mod report;
mod services;
mod submits;
mod tasks;
mod times;
mod work;

pub use backlog::{Backlog, backlog};
pub use idle::{Idle, idle};
pub use latency::{Latency, latency};
pub use machine::Setting;
pub use output::{Output, output};
pub use report::Report;
pub use services::{NOOP, Noop, Services};
pub use submits::{Submits, submits};
pub use tasks::{Tasks, tasks};
pub use work::Work;
