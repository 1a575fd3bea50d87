//! The keeper's own side: one thread, one epoll, all attempts.
//!
//! One attempt's trouble must never reach another's: what is done for an attempt runs behind `Server::with`, which
//! survives its panics. Nothing here waits but epoll, and a moment for processes to end.

mod attempt;
mod directories;
mod link;
mod output;
mod poll;
mod process;
mod progress;
mod server;
mod setup;

pub use setup::run;
