//! The messages on the keeper's socket. A keeper outlives its worker's upgrade, so that numbers are never reused and
//! unknown fields are skipped, as protobuf does; each message is preceded by its length (four bytes, little endian).

use bytes::Bytes;
use prost::{Message, Oneof};
use std::collections::BTreeMap;

/// Which messages this build speaks. A keeper of a higher number than its worker's says the worker's: what is new to that
/// one is skipped by it. 2 added the spool's limits, how far output is released in bytes, and custody. 3 added users.
pub(super) const PROTOCOL: u32 = 3;
/// The lowest number that a keeper may speak: all of its messages are still understood.
pub(super) const OLDEST: u32 = 1;
/// From which on a worker takes descriptors.
pub(super) const CUSTODY: u32 = 2;
/// From which on a keeper starts commands as another user. An older one doesn't look at that, and starts them as itself.
pub(super) const USERS: u32 = 3;
/// The largest message: a frame, or a start with stdin, arguments and environment, with room to spare; beyond it the
/// connection is broken.
pub(super) const MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Worker to keeper.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ToKeeper {
    #[prost(oneof = "Command", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub command: Option<Command>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Command {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Start(Start),
    #[prost(message, tag = "3")]
    Kill(Kill),
    #[prost(message, tag = "4")]
    Release(Release),
    #[prost(message, tag = "5")]
    Forget(Attempt),
    #[prost(message, tag = "6")]
    Detached(Detached),
    #[prost(message, tag = "7")]
    Shutdown(Shutdown),
}

/// The first message: what tasks started from now on find in their environment.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Hello {
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    #[prost(message, repeated, tag = "2")]
    pub environment: Vec<Variable>,
    /// Without it: as by default.
    #[prost(message, optional, tag = "3")]
    pub spool: Option<Spool>,
}

/// How much output may be held that isn't released, while nobody takes it.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Spool {
    #[prost(uint64, tag = "1")]
    pub attempt_bytes: u64,
    #[prost(uint64, tag = "2")]
    pub all_bytes: u64,
    /// Beyond it tasks wait; otherwise what they write is dropped and counted.
    #[prost(bool, tag = "3")]
    pub blocks: bool,
}

/// An environment variable; bytes, because Linux says so.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Variable {
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Attempt {
    /// The 16 bytes of a UUID; of a member of an array, with four bytes of index + 1 behind them.
    #[prost(bytes = "vec", tag = "1")]
    pub task: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub no: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Start {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(oneof = "Run", tags = "2, 3")]
    pub run: Option<Run>,
    #[prost(uint64, optional, tag = "4")]
    pub timeout_us: Option<u64>,
    #[prost(uint64, tag = "5")]
    pub grace_us: u64,
    #[prost(string, optional, tag = "6")]
    pub entry: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub user: Option<User>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct User {
    #[prost(uint32, tag = "1")]
    pub uid: u32,
    #[prost(uint32, tag = "2")]
    pub gid: u32,
    #[prost(uint32, repeated, tag = "3")]
    pub groups: Vec<u32>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Run {
    #[prost(message, tag = "2")]
    Shell(Shell),
    #[prost(message, tag = "3")]
    Handler(Handler),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shell {
    #[prost(string, tag = "1")]
    pub command: String,
    #[prost(string, repeated, tag = "2")]
    pub args: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub working_dir: Option<String>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub env: BTreeMap<String, String>,
    #[prost(bytes = "vec", tag = "5")]
    pub stdin: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Handler {
    #[prost(string, tag = "1")]
    pub command: String,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
    /// A keeper of an earlier build doesn't look at it.
    #[prost(btree_map = "string, string", tag = "3")]
    pub env: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Kill {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(uint64, tag = "2")]
    pub grace_us: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Release {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Detached {
    #[prost(bool, tag = "1")]
    pub detached: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Shutdown {
    #[prost(bool, tag = "1")]
    pub kill: bool,
    #[prost(uint64, tag = "2")]
    pub grace_us: u64,
}

/// Keeper to worker.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ToWorker {
    #[prost(oneof = "News", tags = "1, 2, 3, 4, 5, 6")]
    pub news: Option<News>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum News {
    #[prost(message, tag = "1")]
    Held(Held),
    #[prost(message, tag = "2")]
    Started(Started),
    #[prost(message, tag = "3")]
    Frame(Frame),
    #[prost(message, tag = "4")]
    Progressed(Progressed),
    #[prost(message, tag = "5")]
    Exited(Exited),
    #[prost(message, tag = "6")]
    Custody(Custody),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Held {
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    #[prost(string, tag = "2")]
    pub level: String,
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    #[prost(message, repeated, tag = "4")]
    pub attempts: Vec<Kept>,
    /// The ledger's descriptor comes with it.
    #[prost(bool, tag = "5")]
    pub ledger: bool,
}

/// Descriptors of an attempt come with it: of its process, and of those pipes that are named, in this order.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Custody {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(bool, tag = "2")]
    pub stdout: bool,
    #[prost(bool, tag = "3")]
    pub stderr: bool,
    /// Where in the ledger it is written down.
    #[prost(uint32, tag = "4")]
    pub slot: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Kept {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(bool, tag = "2")]
    pub exited: bool,
    #[prost(message, optional, tag = "3")]
    pub totals: Option<Totals>,
    #[prost(uint64, tag = "4")]
    pub released: u64,
    /// Bytes of the streams in released frames; a keeper of protocol 1 doesn't say.
    #[prost(uint64, tag = "5")]
    pub released_stdout: u64,
    #[prost(uint64, tag = "6")]
    pub released_stderr: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Totals {
    #[prost(uint64, tag = "1")]
    pub frames: u64,
    #[prost(uint64, tag = "2")]
    pub stdout: u64,
    #[prost(uint64, tag = "3")]
    pub stderr: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Started {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(int64, tag = "2")]
    pub at: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Frame {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// Otherwise it is stdout.
    #[prost(bool, tag = "3")]
    pub stderr: bool,
    #[prost(uint64, tag = "4")]
    pub offset: u64,
    #[prost(int64, tag = "5")]
    pub at: i64,
    #[prost(bytes = "bytes", tag = "6")]
    pub data: Bytes,
    #[prost(uint64, tag = "7")]
    pub dropped: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Progressed {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(uint32, tag = "2")]
    pub percent: u32,
    #[prost(string, tag = "3")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Exited {
    #[prost(message, optional, tag = "1")]
    pub attempt: Option<Attempt>,
    #[prost(oneof = "Exit", tags = "2, 3, 4, 5, 6, 7")]
    pub exit: Option<Exit>,
    #[prost(message, optional, tag = "8")]
    pub totals: Option<Totals>,
    #[prost(bytes = "vec", tag = "9")]
    pub result: Vec<u8>,
    #[prost(uint64, tag = "10")]
    pub run_us: u64,
    #[prost(bool, tag = "11")]
    pub tree_gone: bool,
    #[prost(int64, tag = "12")]
    pub at: i64,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
pub(super) enum Exit {
    #[prost(int32, tag = "2")]
    Code(i32),
    #[prost(int32, tag = "3")]
    Signal(i32),
    /// After so many microseconds.
    #[prost(uint64, tag = "4")]
    TimedOut(u64),
    #[prost(string, tag = "5")]
    NotStarted(String),
    /// Always true.
    #[prost(bool, tag = "6")]
    Killed(bool),
    #[prost(string, tag = "7")]
    HandlerError(String),
}
