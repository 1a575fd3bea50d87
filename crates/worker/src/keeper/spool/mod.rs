//! A keeper's output on disk: what is beyond its memory, in files that it alone writes, until it is released.
//!
//! Nothing here is ever synced: attempts don't outlive the machine, and the page cache outlives the keeper. So what a
//! dead keeper had written can be read by its worker, and after a crash of the machine nobody asks for it.
//! Bytes that can't be read back as they were written must become a frame that counts them, never other bytes.

mod any_bytes;
mod log;
mod part;
mod record;
mod rest;

pub use any_bytes::any_spool;
pub(super) use log::Log;
pub(super) use rest::rest;
