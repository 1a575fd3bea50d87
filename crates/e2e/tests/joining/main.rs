//! A machine joins a fleet with one line and a token that is good once; who hasn't one, or not any more, stays out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod again;
mod fleet;
mod refused;
mod shut_out;
mod start;
mod two_machines;
