//! The outbox: streams to workers, and the numbering and batching of their orders.

use crate::{mailbox::OrdersTo, seal::Sealer};
use domain::{Commit, Epoch, Error, Order, OrderBatch, SHARD};
use engine::SessionId;
use std::collections::BTreeMap;
use store::Watermark;
use tokio::sync::mpsc::error::TrySendError;
use wire::v1;

/// All open streams.
#[derive(Default)]
pub(crate) struct Outbox {
    streams: BTreeMap<SessionId, Stream>,
    /// With the store of this reign.
    sealer: Option<Sealer>,
}

struct Stream {
    to: OrdersTo,
    /// Orders sent so far.
    sent: u64,
    /// It speaks the older dialect: it gets assignments, nothing else.
    legacy: bool,
}

impl Outbox {
    /// What is sent from here on is told of this store.
    pub fn seal_with(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    /// Whether this mark was told by a scheduler of the store.
    pub fn told(&self, mark: &Watermark, seal: &[u8]) -> bool {
        self.sealer.as_ref().is_some_and(|sealer| sealer.holds(mark, seal))
    }

    pub fn open(&mut self, session: SessionId, to: OrdersTo) {
        self.streams.insert(session, Stream { to, sent: 0, legacy: false });
    }

    pub fn is_open(&self, session: SessionId) -> bool {
        self.streams.contains_key(&session)
    }

    pub fn set_legacy(&mut self, session: SessionId) {
        if let Some(stream) = self.streams.get_mut(&session) {
            stream.legacy = true;
        }
    }

    /// Sends orders as one message; none at all tells the worker that it was heard. False if the stream is cut off: its
    /// worker doesn't read.
    pub fn send(&mut self, session: SessionId, epoch: Epoch, commit: Commit, orders: Vec<Order>) -> bool {
        let Some(stream) = self.streams.get_mut(&session) else { return true };
        let seal = self.sealer.as_ref().map(|sealer| sealer.seal(epoch, commit)).unwrap_or_default();
        for message in stream.messages(epoch, commit, orders, seal) {
            match stream.to.try_send(Ok(message)) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                    self.streams.remove(&session);
                    return false;
                }
            }
        }
        true
    }

    /// Ends a stream. Its worker learns why, if there is room to say it.
    pub fn close(&mut self, session: SessionId, error: &Error) {
        if let Some(stream) = self.streams.remove(&session) {
            let _ = stream.to.try_send(Err(wire::status(error)));
        }
    }

    /// Ends a stream that ended by itself.
    pub fn forget(&mut self, session: SessionId) {
        self.streams.remove(&session);
    }

    /// Ends all streams: the reign is over.
    pub fn clear(&mut self, error: &Error) {
        for stream in std::mem::take(&mut self.streams).into_values() {
            let _ = stream.to.try_send(Err(wire::status(error)));
        }
    }
}

impl Stream {
    fn messages(&mut self, epoch: Epoch, commit: Commit, orders: Vec<Order>, seal: Vec<u8>) -> Vec<v1::TaskAssignment> {
        if self.legacy {
            return orders.into_iter().filter_map(crate::grpc::assignment).collect();
        }
        let sequence = self.sent + 1;
        self.sent += orders.len() as u64;
        let batch = OrderBatch { shard: SHARD, epoch, sequence, orders };
        vec![v1::TaskAssignment { commit: commit.0, seal, ..wire::worker::v1_assignment(batch) }]
    }
}
