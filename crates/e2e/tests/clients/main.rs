//! Workers and clients in the languages that users write them in, against the real services.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod following;
mod node;
mod python;
mod python_worker;
mod samples;
mod sharing;
mod traced;
