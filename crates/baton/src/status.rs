//! States of tasks as they can be asked for.

use clap::ValueEnum;
use wire::v1;

/// One of them stands for all finer words of its sort.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Dispatched,
    Running,
    Completed,
    Failed,
    TimedOut,
    Cancelled,
}

impl Status {
    /// Its number on the wire.
    pub fn on_the_wire(self) -> i32 {
        let status = match self {
            Self::Pending => v1::TaskStatus::Pending,
            Self::Dispatched => v1::TaskStatus::Dispatched,
            Self::Running => v1::TaskStatus::Running,
            Self::Completed => v1::TaskStatus::Completed,
            Self::Failed => v1::TaskStatus::Failed,
            Self::TimedOut => v1::TaskStatus::TimedOut,
            Self::Cancelled => v1::TaskStatus::Cancelled,
        };
        status.into()
    }
}
