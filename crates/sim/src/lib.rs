//! The simulator: the production engine, driver and session, unmodified, in a virtual world of processes, a network and a
//! disk that fail. A seed decides everything and replays it bit for bit.
//!
//! First a storm with faults, then a calm in which everything must converge. What must hold is asserted, always.

mod check;
mod client;
mod draw;
mod lines;
mod rng;
mod scheduler;
mod worker;
mod world;

pub use world::{Plan, Plant, Report, run};
