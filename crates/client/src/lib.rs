//! The Rust client: one method a verb, streams that go on by themselves after a broken connection.
//!
//! ```no_run
//! # async fn example() -> Result<(), client::Error> {
//! use client::{Client, v1};
//! use futures_util::StreamExt as _;
//!
//! let client = Client::connect(client::GATEWAY_DEFAULT)?;
//! let shell = v1::ShellRun { command: "echo hello".into(), ..Default::default() };
//! let spec = v1::TaskSpec { name: "greet".into(), run: Some(v1::task_spec::Run::Shell(shell)), ..Default::default() };
//! let task_id = client.submit(spec).await?.task_id;
//! let mut story = client.watch(&task_id, "", true).await?;
//! while let Some(event) = story.next().await {
//!     println!("{:?}", event?);
//! }
//! # Ok(()) }
//! ```
//!
//! Must never print, and never know about the command line.

mod calls;
mod connect;
mod error;
mod read;
mod receipt;

pub use connect::{Client, GATEWAY_DEFAULT};
pub use error::{Error, Result};
pub use read::{Output, Story};
/// The messages of `orchestrator.v1`.
pub use wire::v1;
