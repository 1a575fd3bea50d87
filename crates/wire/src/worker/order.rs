//! What the scheduler tells a worker.

use super::{PROTOCOL, attempt_id, missing};
use crate::{
    spec::one_member,
    v1::{self, order::Order as What},
};
use domain::{AttemptId, Commit, Epoch, Error, Order, OrderBatch, Result, Spec, Start, Welcome};
use std::{sync::Arc, time::Duration};

/// Reads a batch of orders.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field; also for an assignment in the older dialect.
pub fn order_batch(wire: v1::TaskAssignment) -> Result<OrderBatch> {
    // The watermark is the transport's business.
    let v1::TaskAssignment { task_id, spec, orders, shard, epoch, sequence, commit: _, seal: _ } = wire;
    if !task_id.is_empty() || spec.is_some() {
        return Err(Error::field("task_id", "is of the older dialect, and this worker said hello"));
    }
    Ok(OrderBatch {
        shard,
        epoch: Epoch(epoch),
        sequence,
        orders: orders.into_iter().map(order).collect::<Result<_>>()?,
    })
}

/// A batch of orders as it travels. The watermark is put beside it by whoever knows the store.
pub fn v1_assignment(batch: OrderBatch) -> v1::TaskAssignment {
    let OrderBatch { shard, epoch, sequence, orders } = batch;
    v1::TaskAssignment {
        task_id: String::new(),
        spec: None,
        orders: orders.into_iter().map(|o| v1::Order { order: Some(v1_order(o)) }).collect(),
        shard,
        epoch: epoch.0,
        sequence,
        commit: 0,
        seal: Vec::new(),
    }
}

fn order(wire: v1::Order) -> Result<Order> {
    let v1::Order { order } = wire;
    Ok(match order.ok_or_else(|| missing("order"))? {
        What::Welcome(wire) => Order::Welcome(welcome(wire)?),
        What::Start(v1::Start { task_id, attempt, spec, class, entry }) => {
            let spec = Spec::try_from(spec.ok_or_else(|| missing("spec"))?)?;
            let attempt = attempt_id(&task_id, attempt)?;
            Order::Start(Start { attempt, spec: Arc::new(spec), class, entry: entry.map(Arc::from) })
        }
        What::Kill(v1::Kill { task_id, attempt }) => Order::Kill(attempt_id(&task_id, attempt)?),
        What::Recall(v1::Recall { task_id, attempt }) => Order::Recall(attempt_id(&task_id, attempt)?),
        What::Forget(v1::Forget { number }) => Order::Forget(number),
        What::Drain(v1::Drain {}) => Order::Drain,
    })
}

fn v1_order(order: Order) -> What {
    match order {
        Order::Welcome(welcome) => What::Welcome(v1_welcome(welcome)),
        // A member's worker has no use for the ranges of its array, which may be many.
        Order::Start(Start { attempt: AttemptId { task, no }, spec, class, entry }) => What::Start(v1::Start {
            task_id: task.to_string(),
            attempt: no.0,
            spec: Some(one_member(&spec)),
            class,
            entry: entry.map(|entry| entry.as_ref().into()),
        }),
        Order::Kill(AttemptId { task, no }) => What::Kill(v1::Kill { task_id: task.to_string(), attempt: no.0 }),
        Order::Recall(AttemptId { task, no }) => What::Recall(v1::Recall { task_id: task.to_string(), attempt: no.0 }),
        Order::Forget(number) => What::Forget(v1::Forget { number }),
        Order::Drain => What::Drain(v1::Drain {}),
    }
}

fn welcome(wire: v1::Welcome) -> Result<Welcome> {
    let v1::Welcome { session, lost_after_ms, store_id, highest_commit, protocol } = wire;
    if protocol != PROTOCOL {
        return Err(Error::field("protocol", format!("is {protocol}, this worker speaks {PROTOCOL}")));
    }
    let ms = u64::try_from(lost_after_ms).map_err(|_| Error::field("lost_after_ms", "must not be negative"))?;
    let lost_after = Duration::from_millis(ms);
    Ok(Welcome { session, lost_after, store_id: store_id.into(), highest_commit: Commit(highest_commit) })
}

fn v1_welcome(welcome: Welcome) -> v1::Welcome {
    let Welcome { session, lost_after, store_id, highest_commit } = welcome;
    v1::Welcome {
        session,
        lost_after_ms: i64::try_from(lost_after.as_millis()).unwrap_or(i64::MAX),
        store_id: store_id.as_ref().into(),
        highest_commit: highest_commit.0,
        protocol: PROTOCOL,
    }
}
