//! The mailbox: the one way into the scheduling loop.
//!
//! It is bounded ([`MESSAGES`]): when it is full, senders wait, and so does whoever waits for them — a gateway's call, a
//! worker's stream. Nothing is dropped and nothing grows.

use domain::{AttemptId, Error, FrameNo, Hello, Offer, Report, Result, StateWord, TaskId, Token, TokenId, WorkerId};
use engine::{Accepted, LegacyMessage, NewTask, SessionId};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use store::Watermark;
use tokio::sync::{mpsc, oneshot};
use wire::v1;

/// Messages that wait at most: some batches' worth, so that a commit never finds the next batch empty under load.
const MESSAGES: usize = 4_096;
/// Order messages that wait for one worker's stream at most. A worker that lets them pile up is cut off and comes back.
const ORDERS: usize = 1_024;

/// To a worker's stream.
pub(crate) type OrdersTo = mpsc::Sender<Result<v1::TaskAssignment, tonic::Status>>;
/// What a worker's stream sends from.
pub(crate) type OrdersFrom = mpsc::Receiver<Result<v1::TaskAssignment, tonic::Status>>;

/// What a worker says of the store, and what proves that it was told so.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub mark: Watermark,
    pub seal: Vec<u8>,
}

/// What the loop is told.
pub(crate) enum Message {
    Submit {
        tasks: Vec<NewTask>,
        repeated: bool,
        brief: bool,
        reply: oneshot::Sender<Result<Vec<Accepted>>>,
    },
    Cancel {
        tasks: Vec<TaskId>,
        reply: oneshot::Sender<Vec<Result<StateWord>>>,
    },
    Drain {
        worker: WorkerId,
        on: bool,
        reply: oneshot::Sender<Result<u32>>,
    },
    Forget {
        worker: WorkerId,
        reply: oneshot::Sender<Result<u32>>,
    },
    Pause {
        queue: String,
        on: bool,
        reply: oneshot::Sender<Result<()>>,
    },
    KeepToken {
        token: Box<Token>,
        remove: Vec<TokenId>,
        reply: oneshot::Sender<Result<()>>,
    },
    Open {
        session: SessionId,
        to: OrdersTo,
    },
    /// With what the worker remembers of its store, if it has one.
    Hello {
        session: SessionId,
        hello: Box<Hello>,
        remembered: Option<Remembered>,
    },
    Update {
        session: SessionId,
        reports: Vec<Report>,
        offer: Option<Offer>,
    },
    Legacy {
        session: SessionId,
        message: LegacyMessage,
    },
    Closed {
        session: SessionId,
    },
    Stored {
        attempt: AttemptId,
        frames: FrameNo,
    },
}

/// Holders may put messages into the mailbox.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    sessions: Arc<AtomicU64>,
}

/// A mailbox and its handle.
pub(crate) fn mailbox() -> (Handle, mpsc::Receiver<Message>) {
    let (messages, rest) = mpsc::channel(MESSAGES);
    (Handle { messages, sessions: Arc::default() }, rest)
}

impl Handle {
    /// Accepts tasks, all or none; durable when it returns.
    ///
    /// # Errors
    /// What the engine says, or that the loop is gone.
    pub async fn submit(&self, tasks: Vec<NewTask>, repeated: bool, brief: bool) -> Result<Vec<Accepted>> {
        self.ask(|reply| Message::Submit { tasks, repeated, brief, reply }).await?
    }

    /// Cancels tasks, at most [`domain::limits::CANCEL_TASKS`], each for itself; durable when it returns. Returns where each
    /// stands then, or what the engine says of it, in their order.
    ///
    /// # Errors
    /// The loop is gone.
    pub async fn cancel(&self, tasks: Vec<TaskId>) -> Result<Vec<Result<StateWord>>> {
        self.ask(|reply| Message::Cancel { tasks, reply }).await
    }

    /// Gives a worker nothing new, or with `on` false lets it take tasks again; durable when it returns. Returns how many
    /// attempts it holds.
    ///
    /// # Errors
    /// What the engine says, or that the loop is gone.
    pub async fn drain(&self, worker: WorkerId, on: bool) -> Result<u32> {
        self.ask(|reply| Message::Drain { worker, on, reply }).await?
    }

    /// Forgets a worker that isn't connected; durable when it returns. Returns how many attempts are lost thereby.
    ///
    /// # Errors
    /// What the engine says, or that the loop is gone.
    pub async fn forget(&self, worker: WorkerId) -> Result<u32> {
        self.ask(|reply| Message::Forget { worker, reply }).await?
    }

    /// Gives nothing of a queue to workers, or with `on` false goes on; durable when it returns.
    ///
    /// # Errors
    /// What the engine says, or that the loop is gone.
    pub async fn pause(&self, queue: String, on: bool) -> Result<()> {
        self.ask(|reply| Message::Pause { queue, on, reply }).await?
    }

    /// Keeps a token and takes these out; durable when it returns.
    ///
    /// # Errors
    /// What the store says, or that the loop is gone.
    pub async fn keep_token(&self, token: Token, remove: Vec<TokenId>) -> Result<()> {
        let token = Box::new(token);
        self.ask(|reply| Message::KeepToken { token, remove, reply }).await?
    }

    /// Opens a worker's session.
    pub(crate) async fn open(&self) -> Result<(SessionId, OrdersFrom)> {
        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1);
        let (to, from) = mpsc::channel(ORDERS);
        self.put(Message::Open { session, to }).await?;
        Ok((session, from))
    }

    /// Puts a message from a thread outside the event loop, blocking it while the mailbox is full. False: nobody reads.
    pub(crate) fn put_from_thread(&self, message: Message) -> bool {
        self.messages.blocking_send(message).is_ok()
    }

    /// Puts a message and waits for its answer.
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.put(message(reply)).await?;
        answer.await.map_err(|_| stopping())
    }

    /// Puts a message, waiting while the mailbox is full.
    pub(crate) async fn put(&self, message: Message) -> Result<()> {
        self.messages.send(message).await.map_err(|_| stopping())
    }
}

fn stopping() -> Error {
    Error::unavailable("the scheduler is stopping")
}
