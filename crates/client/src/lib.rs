//! The Rust client: one method a verb, streams that go on by themselves after a broken connection.
//!
//! ```no_run
//! # async fn example() -> Result<(), client::Error> {
//! use client::{Client, GATEWAY_DEFAULT, shell};
//! use futures_util::StreamExt as _;
//!
//! let client = Client::connect(GATEWAY_DEFAULT)?;
//! let task_id = client.submit(shell("echo hello")).await?.task_id;
//! let mut story = client.watch(&task_id, "", true).await?;
//! while let Some(event) = story.next().await {
//!     println!("{:?}", event?);
//! }
//! # Ok(()) }
//! ```
//!
//! `examples` has four programs, which the clients for Python and TypeScript have as well (docs/clients.md).
//!
//! Must never print, and never know about the command line.

mod calls;
mod connect;
mod error;
mod read;
mod receipt;
mod spec;

pub use connect::{Access, Client, GATEWAY_DEFAULT};
pub use error::{Error, Result};
pub use read::{Output, Story};
pub use spec::{handler, program, shell};
/// The messages of `orchestrator.v1`.
pub use wire::v1;
