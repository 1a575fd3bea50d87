//! A reign: from taking an epoch to the first commit that fails. The I/O that the driver asks for is done here.
//!
//! Must never release an effect that the driver didn't, nor hold one back.

use crate::{
    clock::Clock,
    gap::{Gap, Receipts},
    gauges,
    mailbox::{Message, Remembered},
    outbox::Outbox,
    replies::{Replies, Waiting},
    retention::Retention,
    traced,
    view::{View, Views},
};
use domain::{Ahead, AttemptId, Commit, Epoch, Error, Fact, Hello, Kind, Order};
use driver::{Driver, Outcome, Step};
use engine::{Effect, Input, Reply, SessionId};
use service::trace::Tracer;
use std::time::{Duration, Instant};
use store::{Expired, Failure, Reason, Store, Watermark, writer::Writer};
use tokio::sync::{mpsc, oneshot};

/// Jobs of the writer's thread under way at most: one commit, one look-up, one step of retention; the others read ahead. Fewer
/// than its queue takes and as many as its answers have room for, so that neither it nor the loop ever waits for the other.
const UNDER_WAY: usize = 32;
/// Writes of a commit that the loop makes itself if the writer's thread has nothing to do: somebody waits for this one, and
/// the way to the thread and back takes as long as the commit. With more of them there is more to do meanwhile.
const INLINE_WRITES: usize = 4;
/// If the last commit took longer, the loop hands the next one over: readers and workers must not wait for a slow disk.
const INLINE_WITHIN: Duration = Duration::from_millis(2);
/// Inputs handled between two looks at the writer's answers: keeps a batch's effects from waiting for a flood of inputs.
pub(crate) const INPUTS: usize = 1_024;

/// What the writer's thread answers.
pub(crate) enum Answer {
    /// With what a step of retention did within it, and how long it took.
    Committed(Result<(Commit, Option<Expired>), Failure>, Duration),
    Facts(Result<Vec<Fact>, Failure>),
    Ahead(Result<Ahead, Failure>),
    /// How it went, and how long it took.
    Expired(Result<Expired, Failure>, Duration),
    /// How it went, and who waits for it.
    Token(Result<Commit, Failure>, oneshot::Sender<domain::Result<()>>),
}

/// The parts of one reign. Owned by the loop.
pub(crate) struct Reign<'a> {
    pub driver: Driver,
    /// The store, its epoch, and the last commit that was acknowledged.
    mark: Watermark,
    pub clock: Clock,
    pub writer: &'a Writer,
    pub outbox: &'a mut Outbox,
    pub replies: &'a mut Replies,
    pub story: &'a crate::story::Handle,
    pub views: &'a mut Views,
    pub retention: &'a mut Retention,
    receipts: &'a Receipts,
    tracer: &'a Tracer,
    answers: mpsc::Sender<Answer>,
    /// Jobs that the writer's thread hasn't answered.
    under_way: usize,
    /// How long the last commit took.
    took: Duration,
}

/// What ends a reign.
pub(crate) enum Ended {
    /// A commit failed.
    Failed(Failure),
    /// A look-up failed. What is being committed meanwhile may succeed.
    Unread(Failure),
    /// Somebody remembers more than the store has.
    Behind(Gap),
}

impl<'a> Reign<'a> {
    #[allow(clippy::too_many_arguments, reason = "the loop hands all its parts over, once")]
    pub fn new(
        driver: Driver,
        mark: Watermark,
        clock: Clock,
        writer: &'a Writer,
        outbox: &'a mut Outbox,
        replies: &'a mut Replies,
        story: &'a crate::story::Handle,
        views: &'a mut Views,
        retention: &'a mut Retention,
        receipts: &'a Receipts,
        tracer: &'a Tracer,
    ) -> (Self, mpsc::Receiver<Answer>) {
        let (answers, incoming) = mpsc::channel(UNDER_WAY);
        let under_way = 0;
        let reign = Self {
            driver,
            mark,
            clock,
            writer,
            outbox,
            replies,
            story,
            views,
            retention,
            receipts,
            tracer,
            answers,
            under_way,
            took: Duration::ZERO,
        };
        (reign, incoming)
    }

    /// Whether the writer's thread has as much to do as it may have: nothing is handed over until it answers.
    pub fn is_full(&self) -> bool {
        self.under_way >= UNDER_WAY
    }

    /// Takes a message.
    pub fn take(&mut self, message: Message) -> Result<(), Ended> {
        let input = match message {
            Message::Submit { tasks, repeated, brief, reply } => {
                Input::Submit { caller: self.replies.add(Waiting::Submit(reply)), tasks, repeated, brief }
            }
            Message::Cancel { tasks, reply } => {
                Input::Cancel { caller: self.replies.add(Waiting::Cancel(reply)), tasks }
            }
            Message::Drain { worker, on, reply } => {
                Input::Drain { caller: self.replies.add(Waiting::Drain(reply)), worker, on }
            }
            Message::Forget { worker, reply } => {
                Input::Forget { caller: self.replies.add(Waiting::Forget(reply)), worker }
            }
            Message::Pause { queue, on, reply } => {
                Input::Pause { caller: self.replies.add(Waiting::Pause(reply)), queue, on }
            }
            Message::KeepToken { token, remove, reply } => {
                let epoch = self.mark.epoch;
                return self.submit(move |store| Answer::Token(store.keep_token(epoch, &token, &remove), reply));
            }
            Message::Open { session, to } => {
                self.outbox.open(session, to);
                return Ok(());
            }
            Message::Stored { attempt, frames } => Input::OutputStored { attempt, frames },
            Message::Closed { session } => {
                self.outbox.forget(session);
                // Who is out of contact is seen to be, though nothing is stored of it.
                self.views.changed();
                Input::Closed { session }
            }
            // A stream of an earlier reign is cut off already; what it still says is of no use.
            Message::Hello { session, .. } | Message::Update { session, .. } | Message::Legacy { session, .. }
                if !self.outbox.is_open(session) =>
            {
                return Ok(());
            }
            Message::Hello { session, hello, remembered } => {
                if !self.knows(session, &hello, remembered)? {
                    return Ok(());
                }
                Input::Hello { session, hello }
            }
            Message::Update { session, reports, offer } => {
                if reports.is_empty() {
                    self.answer_heartbeat(session);
                }
                Input::Update { session, reports, offer }
            }
            Message::Legacy { session, message } => {
                self.outbox.set_legacy(session);
                Input::Legacy { session, message }
            }
        };
        self.driver.push(input);
        Ok(())
    }

    /// Whether the worker is one of this store. One of another store is refused; one that has seen more of it than there is
    /// ends the reign.
    fn knows(&mut self, session: SessionId, hello: &Hello, remembered: Option<Remembered>) -> Result<bool, Ended> {
        let Some(Remembered { mark: remembered, seal }) = remembered else { return Ok(true) };
        let Watermark { store_id, epoch, commit } = &self.mark;
        if remembered.store_id != *store_id {
            let text = format!(
                "store_id: worker {} belongs to the store {}, this scheduler's is {store_id}; start it with another \
                 --data-dir, or move its own away",
                hello.worker, remembered.store_id
            );
            tracing::warn!(session = session.0, reason = text, "Worker session refused or ended");
            self.outbox.close(session, &Error::new(Kind::Precondition, text));
            return Ok(false);
        }
        let Some(gap) = Gap::told(*commit, *epoch, &hello.worker, &remembered) else { return Ok(true) };
        if !self.outbox.told(&remembered, &seal) {
            // Anybody who may be a worker can say that. It is no reason to stop for all others.
            let text = format!("store_id: {}, and nothing proves that it was told so", gap.why);
            tracing::error!(session = session.0, reason = text, "Worker session refused or ended");
            let error = Error::new(Kind::Precondition, text);
            crate::grpc::refused("session", &error);
            self.outbox.close(session, &error);
            return Ok(false);
        }
        // Whether the store is behind must not hang on this worker's coming back.
        let _ = self.writer.submit(move |store| store.remember(&remembered));
        Err(Ended::Behind(gap))
    }

    /// The worker shall know that it was heard: silence would count as lost contact.
    fn answer_heartbeat(&mut self, session: SessionId) {
        if !self.outbox.send(session, self.mark.epoch, self.mark.commit, Vec::new()) {
            self.driver.push(Input::Closed { session });
        }
    }

    /// Does what the driver wants next.
    pub fn step(&mut self) -> Result<(), Ended> {
        while !self.is_full()
            && let Some(step) = self.driver.poll(self.clock.now())
        {
            self.hand_over(step)?;
        }
        Ok(())
    }

    /// Does a step: all answers come in the order of the writer's work.
    fn hand_over(&mut self, step: Step) -> Result<(), Ended> {
        let epoch = self.mark.epoch;
        match step {
            Step::Ask(needs) => {
                self.submit(move |store| Answer::Facts(fenced(store, epoch, |store| store.facts(&needs))))
            }
            Step::Ahead(want) => {
                self.submit(move |store| Answer::Ahead(fenced(store, epoch, |store| store.ahead(&want))))
            }
            Step::Commit(batch) => {
                metrics::histogram!("baton_commit_writes").record(batch.writes.len() as f64);
                let along = self.retention.along(Instant::now(), self.clock.now().wall, batch.writes.len());
                let small = along.is_none() && batch.writes.len() <= INLINE_WRITES;
                let job = move |store: &mut dyn Store| {
                    let start = Instant::now();
                    let result = match along {
                        Some(step) => store.commit_expiring(&batch, &step).map(|(commit, gone)| (commit, Some(gone))),
                        None => store.commit(&batch).map(|commit| (commit, None)),
                    };
                    let took = start.elapsed();
                    metrics::histogram!("baton_commit_seconds").record(took.as_secs_f64());
                    Answer::Committed(result, took)
                };
                if small && self.under_way == 0 && self.took <= INLINE_WITHIN {
                    self.run(job)
                } else {
                    self.submit(job)
                }
            }
        }
    }

    fn submit(&mut self, job: impl FnOnce(&mut dyn Store) -> Answer + Send + 'static) -> Result<(), Ended> {
        let answers = self.answers.clone();
        self.under_way += 1;
        let handed = self.writer.submit(move |store| {
            // Nobody listens when the reign is over.
            let _ = answers.blocking_send(job(store));
        });
        handed.map_err(|_| gone())
    }

    /// Does a job at once. Its answer comes as those of the thread do.
    fn run(&mut self, job: impl FnOnce(&mut dyn Store) -> Answer) -> Result<(), Ended> {
        let answer = self.writer.run(job).map_err(|_| gone())?;
        self.under_way += 1;
        // There is room: nothing else is under way.
        self.answers.try_send(answer).map_err(|_| gone())
    }

    /// Hands over the step of retention that is due.
    pub fn expire(&mut self) -> Result<(), Ended> {
        let Some(step) = self.retention.alone(Instant::now(), self.clock.now().wall) else { return Ok(()) };
        let epoch = self.mark.epoch;
        self.submit(move |store| {
            let start = Instant::now();
            let result = store.expire(epoch, &step);
            Answer::Expired(result, start.elapsed())
        })
    }

    /// Takes an answer of the writer's thread.
    pub async fn answer(&mut self, answer: Answer) -> Result<(), Ended> {
        self.under_way = self.under_way.saturating_sub(1);
        match answer {
            Answer::Facts(facts) => {
                if let Some(step) = self.driver.facts(self.clock.now(), facts.map_err(Ended::Unread)?) {
                    self.hand_over(step)?;
                }
            }
            Answer::Ahead(ahead) => self.driver.ahead(self.clock.now(), ahead.map_err(Ended::Unread)?),
            Answer::Expired(result, took) => self.expired(result, took)?,
            Answer::Token(result, reply) => self.kept(result, reply)?,
            Answer::Committed(result, took) => {
                self.took = took;
                let (commit, expired) = result.map_err(Ended::Failed)?;
                self.committed(commit);
                let effects = self.driver.committed();
                // Who drains a worker or pauses a queue and looks at once sees it.
                if effects.iter().any(shows_in_views) {
                    self.views.publish_now(|| View::of(&self.driver));
                }
                // What was gathered meanwhile: the writer works on it while the answers go out.
                let next = self.step();
                self.release(effects).await;
                if let Some(expired) = expired {
                    self.deleted(&expired, None);
                }
                self.views.publish(|| View::of(&self.driver));
                next?;
            }
        }
        Ok(())
    }

    /// Nobody has been told of it yet.
    fn committed(&mut self, commit: Commit) {
        self.mark.commit = self.mark.commit.max(commit);
        self.receipts.committed(commit);
    }

    fn deleted(&mut self, expired: &Expired, took: Option<Duration>) {
        self.driver.deleted(&expired.counts);
        self.retention.done(Instant::now(), expired, took);
    }

    fn expired(&mut self, result: Result<Expired, Failure>, took: Duration) -> Result<(), Ended> {
        match result {
            Ok(expired) => {
                self.deleted(&expired, Some(took));
                self.views.publish(|| View::of(&self.driver));
            }
            // The next commit says so as well.
            Err(Failure::Definite(Reason::StaleEpoch)) => {}
            Err(Failure::Definite(reason @ (Reason::Clash | Reason::Full | Reason::Other(_)))) => {
                let error = Failure::Definite(reason);
                tracing::warn!(%error, "Expired tasks cannot be deleted now");
                self.retention.failed(Instant::now());
            }
            Err(failure @ Failure::Unknown(_)) => return Err(Ended::Failed(failure)),
        }
        Ok(())
    }

    /// A token was stored, or not.
    fn kept(
        &mut self,
        result: Result<Commit, Failure>,
        reply: oneshot::Sender<domain::Result<()>>,
    ) -> Result<(), Ended> {
        let failure = match result {
            Ok(commit) => {
                self.committed(commit);
                // Nobody listens if he has gone.
                let _ = reply.send(Ok(()));
                return Ok(());
            }
            Err(failure) => failure,
        };
        let error = match &failure {
            Failure::Definite(Reason::Full) => Error::new(Kind::Exhausted, "the scheduler's disk is full"),
            Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Other(_)) => {
                Error::unavailable("the token was not stored; repeat the call")
            }
            Failure::Unknown(_) => {
                Error::new(Kind::Unknown, "whether the token was stored is unknown: list the tokens")
            }
        };
        let _ = reply.send(Err(error));
        if matches!(failure, Failure::Definite(Reason::Full)) { Ok(()) } else { Err(Ended::Failed(failure)) }
    }

    /// Lets the effects of a durable batch happen, in order.
    async fn release(&mut self, effects: Vec<Effect>) {
        let (mut events, mut waits, mut replies) = (Vec::with_capacity(effects.len()), Vec::new(), Vec::new());
        let mut orders: std::collections::BTreeMap<SessionId, Vec<Order>> = std::collections::BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Reply(caller, reply) => replies.push((caller, reply)),
                Effect::Publish { event, tail } => events.push((event, tail)),
                Effect::Waited(waited) => waits.push(waited),
                Effect::Order(session, order) => orders.entry(session).or_default().push(order),
                Effect::Close(session, error) => {
                    tracing::warn!(session = session.0, reason = %error, "Worker session refused or ended");
                    self.send(session, orders.remove(&session).unwrap_or_default());
                    self.outbox.close(session, &error);
                }
            }
        }
        gauges::waited(&waits);
        traced::waited(self.tracer, &waits);
        gauges::stored(&events.iter().map(|(_, tail)| tail).collect::<Vec<_>>());
        // The story before the orders: it must know of an attempt before its output can arrive.
        if !events.is_empty() {
            self.story.publish(events).await;
        }
        // The callers last: workers begin meanwhile, and who waits for a story finds it told when he is answered.
        for (session, orders) in orders {
            self.send(session, orders);
        }
        for (caller, reply) in replies {
            self.replies.answer(caller, reply);
        }
    }

    fn send(&mut self, session: SessionId, orders: Vec<Order>) {
        if !orders.is_empty() && !self.outbox.send(session, self.mark.epoch, self.mark.commit, orders) {
            tracing::warn!(session = session.0, "Worker does not read its orders; cut off");
            self.driver.push(Input::Closed { session });
        }
    }

    /// Ends the reign: callers are answered, workers cut off; they come back to the next one. What is being committed when
    /// it ends for another reason than that commit may be durable.
    pub fn end(self, ended: &Ended) {
        let outcome = match ended {
            Ended::Behind(_) | Ended::Unread(_) | Ended::Failed(Failure::Unknown(_)) => Outcome::Unknown,
            Ended::Failed(Failure::Definite(Reason::Full)) => Outcome::Full,
            Ended::Failed(Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Other(_))) => Outcome::Refused,
        };
        for (caller, reply) in self.driver.fail(outcome) {
            self.replies.answer(caller, reply);
        }
        self.outbox.clear(&Error::unavailable("the scheduler starts again from its store"));
    }
}

fn gone() -> Ended {
    Ended::Failed(Failure::Unknown("the writer's thread is gone".into()))
}

/// The answer to a verb on workers or queues.
fn shows_in_views(effect: &Effect) -> bool {
    matches!(effect, Effect::Reply(_, Reply::Drained(_) | Reply::Forgotten(_) | Reply::Paused(_)))
}

/// What was read, unless a later reign may have written it.
fn fenced<T>(
    store: &mut dyn Store,
    epoch: Epoch,
    read: impl FnOnce(&mut dyn Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let found = read(store)?;
    store.fence(epoch)?;
    Ok(found)
}

/// The attempts under way among loaded tasks: their stored output has to be told to the engine.
pub(crate) fn under_way(tasks: &[domain::Task]) -> Vec<AttemptId> {
    tasks.iter().filter_map(domain::Task::live_id).collect()
}
