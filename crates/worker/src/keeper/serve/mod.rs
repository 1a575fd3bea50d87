//! The keeper's own side: one thread, one epoll, all attempts.
//!
//! One attempt's trouble must never reach another's: what is done for an attempt runs behind `Server::with`, which
//! survives its panics. Nothing here waits but epoll.

mod attempt;
mod directories;
mod link;
mod poll;
mod process;
mod progress;
mod server;
mod setup;
mod spool;

pub use setup::run;
