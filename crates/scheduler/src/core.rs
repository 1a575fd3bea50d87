//! The loop: one event at a time, from whatever comes first, into one synchronous step.
//!
//! It owns the store's writer, the streams to workers and the callers that wait. When a commit fails it starts again from
//! the store under a new epoch: the only recovery there is (PROTOCOL P3).

use crate::{
    clock::Clock,
    gap::{Gap, Receipts},
    mailbox::Message,
    outbox::Outbox,
    reign::{Answer, Ended, INPUTS, Reign, under_way},
    replies::Replies,
    rest::{self, Pause},
    retention::Retention,
    seal::Sealer,
    story,
    view::{View, Views},
};
use domain::{Commit, Error, Kind, Loaded, StateWord};
use driver::Driver;
use engine::{Config, Input, WINDOW};
use service::{Readiness, Stopping, trace::Tracer};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::{Failure, Opened, Reason, Watermark, writer::Writer};
use tokio::sync::{mpsc, oneshot};

/// A session silent for so long is out of contact (PROTOCOL P1; workers speak every 5 s).
const SILENCE: Duration = Duration::from_secs(15);

/// What the loop is made of.
pub(crate) struct Core {
    pub writer: Writer,
    pub messages: mpsc::Receiver<Message>,
    pub story: story::Handle,
    pub views: Views,
    pub lost_after: Duration,
    pub retention: Retention,
    pub receipts: Receipts,
    /// The operator accepts that the store ends at this commit.
    pub accepted: Option<Commit>,
    pub readiness: Readiness,
    pub stopping: Stopping,
    pub tracer: Tracer,
}

/// Why a reign is over.
enum Over {
    Stopped,
    /// A commit or a look-up failed.
    Failed,
    /// The store has lost something.
    Behind(Gap),
}

/// What the loop waits for.
enum Event {
    Message(Option<Message>),
    Answer(Option<Answer>),
    Due,
    View,
    Expire,
    Stop,
}

impl Core {
    /// Runs until it is told to stop.
    pub async fn run(mut self) {
        let mut outbox = Outbox::default();
        let mut replies = Replies::default();
        let mut pause = Pause::default();
        loop {
            let why = match self.reign(&mut outbox, &mut replies).await {
                Ok(Over::Stopped) => return,
                // The store was open: whoever calls meanwhile waits a moment and sees nothing of it.
                Ok(Over::Failed) => {
                    pause = Pause::default();
                    None
                }
                Ok(Over::Behind(gap)) => return self.behind(&gap).await,
                Err(failure) => {
                    pause.say(&failure);
                    Some(unopened(&failure))
                }
            };
            self.readiness.waiting("store", "the store is being opened again");
            if !rest::rest(&mut self.messages, &self.stopping, Some(pause.next()), why.as_ref()).await {
                return;
            }
        }
    }

    /// Schedules nothing any more. Reads go on.
    async fn behind(&mut self, gap: &Gap) {
        tracing::error!(reason = gap.text(), "Nothing is scheduled");
        self.readiness.waiting("store", gap.text());
        metrics::gauge!("baton_store_behind").set(1.0);
        rest::rest(&mut self.messages, &self.stopping, None, Some(&gap.error())).await;
    }

    /// What the store is, with the loss that its operator has accepted.
    async fn open(&self) -> Result<(Opened, Loaded, Option<Gap>), Failure> {
        let (opened, loaded) = open(&self.writer).await?;
        let gap = Gap::of(&opened);
        if self.accepted != Some(opened.commit) {
            return Ok((opened, loaded, gap));
        }
        let why = gap.map_or_else(|| "nobody connected remembers more".to_owned(), |gap| gap.why);
        tracing::warn!(commit = opened.commit.0, reason = why, "Loss of data accepted by the operator");
        accept(&self.writer, opened.remembered.into_iter().collect()).await?;
        let (opened, loaded) = open(&self.writer).await?;
        Ok((opened, loaded, None))
    }

    async fn reign(&mut self, outbox: &mut Outbox, replies: &mut Replies) -> Result<Over, Failure> {
        let (opened, loaded, gap) = self.open().await?;
        // Also beside a gap: whoever reads with a receipt of what is lost hears that it is.
        self.receipts.begin(&opened);
        if let Some(gap) = gap {
            return Ok(Over::Behind(gap));
        }
        let attempts = under_way(&loaded.tasks);
        self.story.reset(loaded.tasks.clone()).await;
        let clock = Clock::start();
        let config = Config {
            lost_after: self.lost_after,
            silence: SILENCE,
            store_id: Arc::clone(&opened.store_id),
            epoch: opened.epoch,
            window: WINDOW,
        };
        tracing::info!(
            epoch = opened.epoch.0,
            commit = opened.commit.0,
            tasks = loaded.counts.total(),
            waiting = loaded.counts.sum(StateWord::is_pending),
            running = loaded.tasks.len(),
            "Store opened"
        );
        let mut driver = Driver::new(clock.now(), config, loaded);
        for attempt in attempts {
            let frames = self.story.stored(attempt);
            driver.push(Input::OutputStored { attempt, frames });
        }
        self.retention.begin(Instant::now());
        self.views.begin(|| View::of(&driver));
        let (story, views, retention) = (&self.story, &mut self.views, &mut self.retention);
        let Opened { store_id, epoch, commit, seal, .. } = opened;
        outbox.seal_with(Sealer::new(Arc::clone(&store_id), seal));
        let mark = Watermark { store_id, epoch, commit };
        let (receipts, tracer) = (&self.receipts, &self.tracer);
        let (reign, answers) =
            Reign::new(driver, mark, clock, &self.writer, outbox, replies, story, views, retention, receipts, tracer);
        self.readiness.done("store");
        Ok(serve(reign, answers, &mut self.messages, &self.stopping).await)
    }
}

async fn serve(
    mut reign: Reign<'_>,
    mut answers: mpsc::Receiver<Answer>,
    messages: &mut mpsc::Receiver<Message>,
    stopping: &Stopping,
) -> Over {
    loop {
        let full = reign.driver.backlog() >= INPUTS;
        // While nothing can be handed over, nothing that is due can be done.
        let due = reign.driver.next_deadline().filter(|_| !reign.is_full()).map(|due| reign.clock.instant(due));
        let expire = reign.retention.due(reign.driver.is_busy()).filter(|_| !reign.is_full());
        let view = reign.views.due();
        let event = tokio::select! {
            biased;
            answer = answers.recv() => Event::Answer(answer),
            () = stopping.requested() => Event::Stop,
            // Before messages: there may always be one more.
            () = until(expire.map(Into::into)) => Event::Expire,
            message = messages.recv(), if !full => Event::Message(message),
            () = until(due) => Event::Due,
            () = until(view) => Event::View,
        };
        let result = match event {
            Event::Stop | Event::Message(None) | Event::Answer(None) => {
                drain(&mut reign, &mut answers).await;
                let failure = Failure::Definite(Reason::Other("the scheduler is stopping".into()));
                reign.end(&Ended::Failed(failure));
                return Over::Stopped;
            }
            Event::Answer(Some(answer)) => reign.answer(answer).await,
            Event::Message(Some(message)) => take(&mut reign, message, messages),
            Event::View => {
                reign.views.publish(|| View::of(&reign.driver));
                Ok(())
            }
            Event::Expire => reign.expire(),
            Event::Due => Ok(()),
        };
        let result = match result {
            Ok(()) => reign.step(),
            Err(ended) => Err(ended),
        };
        if let Err(ended) = result {
            reign.end(&ended);
            return match ended {
                Ended::Behind(gap) => Over::Behind(gap),
                Ended::Failed(failure) | Ended::Unread(failure) => {
                    tracing::error!(error = %failure, "Commit failed; starting again from the store");
                    Over::Failed
                }
            };
        }
    }
}

/// Takes a message, and those that wait behind it.
fn take(reign: &mut Reign<'_>, message: Message, messages: &mut mpsc::Receiver<Message>) -> Result<(), Ended> {
    metrics::histogram!("baton_mailbox_messages").record((messages.len() + 1) as f64);
    reign.take(message)?;
    while reign.driver.backlog() < INPUTS
        && let Ok(message) = messages.try_recv()
    {
        reign.take(message)?;
    }
    Ok(())
}

/// What callers are told while the store can't be opened. Nothing of theirs was begun.
fn unopened(failure: &Failure) -> Error {
    match failure {
        Failure::Definite(Reason::Full) => {
            Error::new(Kind::Exhausted, "the scheduler's disk is full; nothing was changed")
        }
        Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Other(_)) | Failure::Unknown(_) => {
            Error::unavailable("the scheduler's store cannot be opened; nothing was changed")
        }
    }
}

/// Lets what is being committed finish, so that its callers hear of it.
async fn drain(reign: &mut Reign<'_>, answers: &mut mpsc::Receiver<Answer>) {
    if reign.step().is_err() {
        return;
    }
    while reign.driver.is_busy() {
        let Some(answer) = answers.recv().await else { return };
        if reign.answer(answer).await.is_err() || reign.step().is_err() {
            return;
        }
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Takes the next epoch and loads, on the writer's thread.
async fn open(writer: &Writer) -> Result<(Opened, Loaded), Failure> {
    let (done, answer) = oneshot::channel();
    let gone = || Failure::Unknown("the writer's thread is gone".into());
    writer
        .submit(move |store| {
            let result = store.begin().and_then(|opened| store.load().map(|loaded| (opened, loaded)));
            let _ = done.send(result);
        })
        .map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// Accepts that the store has lost what these remember, on the writer's thread.
async fn accept(writer: &Writer, remembered: Vec<Watermark>) -> Result<(), Failure> {
    let (done, answer) = oneshot::channel();
    let gone = || Failure::Unknown("the writer's thread is gone".into());
    let at = Clock::start().now().wall;
    writer
        .submit(move |store| {
            let _ = done.send(store.accept_loss(at, &remembered));
        })
        .map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}
