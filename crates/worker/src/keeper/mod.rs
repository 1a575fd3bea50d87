//! The keeper: the small second process of a worker, which starts the tasks, holds their pipes and spools what is not
//! yet durable at the scheduler. A worker that crashes or is upgraded finds its tasks again in it (PROTOCOL P7).
//!
//! It must never know the scheduler, use an async runtime, or end because one attempt fails. The worker speaks to it
//! over `<data>/keeper.sock` by [`Keeper`].

mod any_bytes;
mod client;
mod codec;
mod custody;
mod descriptors;
mod event;
mod incoming;
mod launch;
mod ledger;
mod message;
mod paths;
mod serve;
mod spawn;
mod spool;
mod sweep;

pub use any_bytes::any_bytes;
pub use client::{Keeper, KeeperOptions};
pub use custody::{Custody, Orphan, salvage};
pub use event::{
    Exited, HeldByKeeper, KeeperEvent, KeptAttempt, Launch, LaunchCommand, SpoolFull, SpoolLimits, TaskUser,
};
pub use serve::run;
pub use spool::any_spool;
pub use sweep::sweep;

/// The wall clock, for people.
fn wall() -> domain::UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    domain::UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
