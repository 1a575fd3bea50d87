//! The worker's side of the session with its scheduler (PROTOCOL P1 and P2): which attempts are held, what is
//! reported, acknowledged, offered, and which output frames are still to be stored.
//!
//! A pure state machine, driven by the worker's loop and by the simulator: inputs in with [`Session::handle`], as many
//! as there are, then effects out, in order, with [`Session::drain`]; so one message carries what many inputs caused.
//! It must never read a clock, do I/O, or start anything itself.
//!
//! What it relies on from the scheduler's side:
//! * every message of the worker is answered within [`SILENCE`], an empty batch of orders being enough; otherwise the
//!   contact counts as lost and the stream is closed;
//! * `Forget` covers an exit report only once the exit is durable and the output before its tail is stored;
//! * output acknowledgements are repeated for frames that arrive again.

mod attempt;
mod frames;
mod input;
mod orders;
mod pace;
mod reports;
mod session;

pub use input::{Effect, Input, Known, SessionConfig, ToScheduler};
pub use session::{HEARTBEAT, SILENCE, Session};
