//! Orders: what a scheduler tells a worker, fenced by shard and epoch.

use crate::{AttemptId, Commit, Epoch, Spec};
use std::{sync::Arc, time::Duration};

/// Orders that travel together. A worker refuses an epoch below the highest it has seen of the shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderBatch {
    /// Today always [`crate::SHARD`].
    pub shard: u32,
    /// The reign that gave them.
    pub epoch: Epoch,
    /// Number of the first of them in this session, from 1.
    pub sequence: u64,
    /// In order.
    pub orders: Vec<Order>,
}

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// The answer to hello: the session begins.
    Welcome(Welcome),
    /// Start this attempt. It is durable already.
    Start(Start),
    /// End this attempt's process tree and report it; also of an attempt that hasn't started, or is unknown.
    Kill(AttemptId),
    /// Give it back if it hasn't started.
    Recall(AttemptId),
    /// Reports of this session up to this number are durable.
    Forget(u64),
    /// Take nothing new.
    Drain,
}

/// The answer to hello.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The session's number, for logs.
    pub session: u64,
    /// After so long without contact the scheduler gives attempts up.
    pub lost_after: Duration,
    /// Names the store.
    pub store_id: Arc<str>,
    /// The store's watermark (GUARANTEES G12).
    pub highest_commit: Commit,
}

/// Start an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Which.
    pub attempt: AttemptId,
    /// What.
    pub spec: Arc<Spec>,
    /// Its requirement class: tasks of one class run about equally long.
    pub class: u64,
    /// The entry of an array's member.
    pub entry: Option<Arc<str>>,
}
