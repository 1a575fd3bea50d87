//! What holds for every way to run a task: one table of behaviours for commands, handlers and containers; and what holds
//! for containers alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behaviours;
mod containers;
mod executor;
