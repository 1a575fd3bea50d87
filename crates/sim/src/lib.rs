//! The simulator: the production engine, driver and session, unmodified, in a virtual world of processes, clocks, a network
//! and a disk that fail. A seed decides everything and replays it bit for bit.
//!
//! First a storm with faults, then a calm in which everything must converge. What must hold is asserted, always; what is
//! rare must have been reached by some seed ([`Rare`]); and planted bugs must be found ([`Plant`]).
//!
//! It must never change what it proves: faults, and bugs as well, come from the world around the production code.

mod act;
pub mod campaign;
mod check;
mod client;
mod clock;
mod disk;
mod draw;
mod end;
mod fault;
mod keeper;
mod lines;
mod net;
mod plan;
mod plant;
mod play;
mod rare;
mod report;
mod rng;
mod scheduler;
pub mod shrink;
mod worker;
mod world;

pub use plan::{Cue, Plan};
pub use plant::Plant;
pub use rare::{Rare, Seen};
pub use report::Report;
pub use world::{cues, run};
