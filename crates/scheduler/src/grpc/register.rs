//! Register: a worker's stream. Its first message decides the dialect for the whole of it.

use super::{Bound, Door, Out, legacy};
use crate::mailbox::{Handle, Message, OrdersFrom, Remembered};
use domain::{Commit, Epoch, Error, Result};
use engine::SessionId;
use futures_util::StreamExt as _;
use store::Watermark;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use v1::worker_response::Message as Said;
use wire::v1;

/// The headers leave at once; the first message is read afterwards.
pub(super) async fn register(
    door: &Door,
    from: Streaming<v1::WorkerResponse>,
    bound: Bound,
) -> Result<Out<v1::TaskAssignment>> {
    let (session, orders) = door.mailbox.open().await?;
    let listening = listen(door.mailbox.clone(), session, from, bound);
    Ok(Box::pin(door.stopping.until(while_listening(listening, orders))))
}

/// The orders, for as long as somebody listens to the worker; both end together.
fn while_listening(
    listening: impl Future<Output = Result<()>> + Send + 'static,
    orders: OrdersFrom,
) -> impl futures_util::Stream<Item = std::result::Result<v1::TaskAssignment, tonic::Status>> + Send {
    let ended = async move {
        // The worker ending its stream is no error; what it said wrong is.
        listening.await.err().map(|error| {
            super::refused("session", &error);
            Err(wire::status(&error))
        })
    };
    let ended = futures_util::stream::once(ended).filter_map(std::future::ready);
    Joined { orders: ReceiverStream::new(orders), ended: Box::pin(ended), over: false }
}

/// Orders until the worker's side ends, then why.
struct Joined<S> {
    orders: ReceiverStream<std::result::Result<v1::TaskAssignment, tonic::Status>>,
    ended: std::pin::Pin<Box<S>>,
    over: bool,
}

impl<S> futures_util::Stream for Joined<S>
where
    S: futures_util::Stream<Item = std::result::Result<v1::TaskAssignment, tonic::Status>>,
{
    type Item = std::result::Result<v1::TaskAssignment, tonic::Status>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll::{Pending, Ready};
        if self.over {
            return Ready(None);
        }
        // The worker's side is polled first: what it reports must not wait for it to read.
        if let Ready(end) = self.ended.as_mut().poll_next(context) {
            self.over = true;
            return Ready(end);
        }
        match std::pin::Pin::new(&mut self.orders).poll_next(context) {
            Ready(None) => {
                self.over = true;
                Ready(None)
            }
            Ready(order) => Ready(order),
            Pending => Pending,
        }
    }
}

/// Puts into the mailbox what the worker says. Dropped with the stream, it says that the session is closed.
async fn listen(
    mailbox: Handle,
    session: SessionId,
    mut from: Streaming<v1::WorkerResponse>,
    bound: Bound,
) -> Result<()> {
    let _closing = Closing { mailbox: mailbox.clone(), session };
    let mut dialect = None;
    while let Some(message) = from.next().await {
        // A broken connection is the end of the stream, not of the worker.
        let Ok(v1::WorkerResponse { message }) = message else { return Ok(()) };
        let said = message.ok_or_else(|| Error::field("message", "must not be missing"))?;
        match &said {
            Said::Hello(_) if dialect.is_some() => {
                return Err(Error::field("message", "must not be a second hello: it opens another stream"));
            }
            Said::Hello(hello) => {
                bound.check(&hello.worker_id)?;
                bound.write(&hello.worker_id, "ok");
            }
            Said::Heartbeat(heartbeat) => bound.check(&heartbeat.worker_id)?,
            // Of whoever this session is.
            Said::Update(_) | Said::Progress(_) | Said::Result(_) => {}
        }
        let baton = *dialect.get_or_insert(match &said {
            Said::Hello(_) => Some(true),
            Said::Heartbeat(_) => Some(false),
            Said::Update(_) | Said::Progress(_) | Said::Result(_) => None,
        });
        let message = match (baton, said) {
            (Some(true), Said::Hello(hello)) => {
                let remembered = remembered(&hello);
                let hello = Box::new(wire::worker::hello(hello)?);
                hello.check()?;
                Message::Hello { session, hello, remembered }
            }
            (Some(true), Said::Update(update)) => {
                let (reports, offer) = wire::worker::update(update)?;
                Message::Update { session, reports, offer }
            }
            (Some(false), said) => Message::Legacy { session, message: legacy::message(said)? },
            (Some(true), Said::Heartbeat(_) | Said::Progress(_) | Said::Result(_)) => {
                return Err(Error::field("message", "is of another dialect than the stream's first one"));
            }
            (None, _) => return Err(Error::field("message", "must be hello or heartbeat at first")),
        };
        mailbox.put(message).await?;
    }
    Ok(())
}

/// What the worker has seen of a store; `None` before its first welcome.
fn remembered(hello: &v1::WorkerHello) -> Option<Remembered> {
    let v1::WorkerHello { store_id, highest_commit, highest_epoch, seal, sealed_epoch, .. } = hello;
    let mark = || {
        // What is sealed is said as it was told: the epoch of that message, which the highest may be above.
        let epoch = if seal.is_empty() { *highest_epoch } else { *sealed_epoch };
        let (epoch, commit) = (Epoch(epoch), Commit(*highest_commit));
        let mark = Watermark { store_id: store_id.as_str().into(), epoch, commit };
        Remembered { mark, seal: seal.clone() }
    };
    (!store_id.is_empty()).then(mark)
}

/// Says that the session is closed, however its stream ended.
struct Closing {
    mailbox: Handle,
    session: SessionId,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let (mailbox, session) = (self.mailbox.clone(), self.session);
        // The mailbox may be full, and a drop can't wait. Without a runtime the process is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { mailbox.put(Message::Closed { session }).await });
        }
    }
}
