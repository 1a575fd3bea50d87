//! Values and their arithmetic: what every other crate speaks about.
//!
//! This crate knows nothing of the network, the disk, clocks or threads, and must never learn of them.

mod ahead;
mod array;
mod attempt;
mod class;
mod docker;
mod error;
mod event;
mod fact;
mod id;
pub mod limits;
mod order;
mod output;
mod query;
mod ranges;
mod retry;
mod spec;
mod state;
mod task;
mod time;
mod token;
mod trace;
mod wait;
mod worker;
mod write;

pub use ahead::{Ahead, Place, WaitPlace, Want};
pub use array::{ArraySpec, Counts, Members};
pub use attempt::{Attempt, Ending, Exit, Stamp};
pub use class::{ClassKey, Executor, Requirement};
pub use docker::{Container, ContainerLimits, ContainerName, DockerRun};
pub use error::{Error, Kind, Result};
pub use event::{Event, EventKind, Progress};
pub use fact::{Fact, Found, Loaded, Need};
pub use id::{AttemptId, AttemptNo, Epoch, IdError, Incarnation, SHARD, TaskId, WorkerId};
pub use order::{Order, OrderBatch, Start, Welcome};
pub use output::{Frame, FrameNo, StreamName, Tail, Totals};
pub use query::{Cursor, Page, PageRequest, StoryId, TaskFilter};
pub use ranges::{Range, Ranges};
pub use retry::{OnLost, RetryPolicy};
pub use spec::{HandlerRun, IdempotencyKey, Run, ShellRun, Spec};
pub use state::{Final, State, StateWord, Wait};
pub use task::Task;
pub use time::{Due, Monotonic, Now, UnixMillis};
pub use token::{Enrolment, NewToken, Scope, Scopes, Token, TokenId};
pub use trace::{TraceContext, check_trace_state};
pub use wait::WaitReason;
pub use worker::{HeldAttempt, HeldPhase, Hello, KillLevel, Offer, Report, ReportKind, WorkerSnapshot, WorkerStatus};
pub use write::{Batch, Commit, Tally, Write};
