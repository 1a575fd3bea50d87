//! A reign: from taking an epoch to the first commit that fails. The I/O that the driver asks for is done here.
//!
//! Must never release an effect that the driver didn't, nor hold one back.

use crate::{
    clock::Clock,
    mailbox::Message,
    outbox::Outbox,
    replies::Replies,
    view::{View, Views},
};
use domain::{AttemptId, Epoch, Error, Fact, Order};
use driver::{Driver, Outcome, Step};
use engine::{Effect, Input, SessionId};
use store::{Failure, Reason, writer::Writer};
use tokio::sync::mpsc;

/// Answers of the writer's thread that wait at most: one commit and one look-up are under way.
const ANSWERS: usize = 4;
/// Inputs handled between two looks at the writer's answers: keeps a batch's effects from waiting for a flood of inputs.
pub(crate) const INPUTS: usize = 1_024;

/// What the writer's thread answers.
pub(crate) enum Answer {
    Committed(Result<domain::Commit, Failure>),
    Facts(Result<Vec<Fact>, Failure>),
}

/// The parts of one reign. Owned by the loop.
pub(crate) struct Reign<'a> {
    pub driver: Driver,
    pub epoch: Epoch,
    pub clock: Clock,
    pub writer: &'a Writer,
    pub outbox: &'a mut Outbox,
    pub replies: &'a mut Replies,
    pub story: &'a crate::story::Handle,
    pub views: &'a mut Views,
    answers: mpsc::Sender<Answer>,
}

/// What ends a reign: a failed commit, and what its callers are told.
pub(crate) struct Ended(pub Failure);

impl<'a> Reign<'a> {
    #[allow(clippy::too_many_arguments, reason = "the loop hands all its parts over, once")]
    pub fn new(
        driver: Driver,
        epoch: Epoch,
        clock: Clock,
        writer: &'a Writer,
        outbox: &'a mut Outbox,
        replies: &'a mut Replies,
        story: &'a crate::story::Handle,
        views: &'a mut Views,
    ) -> (Self, mpsc::Receiver<Answer>) {
        let (answers, incoming) = mpsc::channel(ANSWERS);
        (Self { driver, epoch, clock, writer, outbox, replies, story, views, answers }, incoming)
    }

    /// Takes a message.
    pub fn take(&mut self, message: Message) {
        let input = match message {
            Message::Submit { tasks, repeated, brief, reply } => {
                Input::Submit { caller: self.replies.submit(reply), tasks, repeated, brief }
            }
            Message::Cancel { task, reply } => Input::Cancel { caller: self.replies.cancel(reply), task },
            Message::Open { session, to } => return self.outbox.open(session, to),
            Message::Stored { attempt, frames } => Input::OutputStored { attempt, frames },
            Message::Closed { session } => {
                self.outbox.forget(session);
                Input::Closed { session }
            }
            // A stream of an earlier reign is cut off already; what it still says is of no use.
            Message::Hello { session, .. } | Message::Update { session, .. } | Message::Legacy { session, .. }
                if !self.outbox.is_open(session) =>
            {
                return;
            }
            Message::Hello { session, hello } => Input::Hello { session, hello },
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
    }

    /// The worker shall know that it was heard: silence would count as lost contact.
    fn answer_heartbeat(&mut self, session: SessionId) {
        if !self.outbox.send(session, self.epoch, Vec::new()) {
            self.driver.push(Input::Closed { session });
        }
    }

    /// Does what the driver wants next.
    pub fn step(&mut self) -> Result<(), Ended> {
        while let Some(step) = self.driver.poll(self.clock.now()) {
            let answers = self.answers.clone();
            let handed = match step {
                Step::Ask(needs) => self.writer.submit(move |store| {
                    let _ = answers.blocking_send(Answer::Facts(store.facts(&needs)));
                }),
                Step::Commit(batch) => {
                    metrics::histogram!("baton_commit_writes").record(batch.writes.len() as f64);
                    self.writer.submit(move |store| {
                        let start = std::time::Instant::now();
                        let result = store.commit(&batch);
                        metrics::histogram!("baton_commit_seconds").record(start.elapsed().as_secs_f64());
                        let _ = answers.blocking_send(Answer::Committed(result));
                    })
                }
            };
            handed.map_err(|_| Ended(Failure::Unknown("the writer's thread is gone".into())))?;
        }
        Ok(())
    }

    /// Takes an answer of the writer's thread.
    pub async fn answer(&mut self, answer: Answer) -> Result<(), Ended> {
        match answer {
            Answer::Facts(facts) => self.driver.facts(self.clock.now(), &facts.map_err(Ended)?),
            Answer::Committed(result) => {
                result.map_err(Ended)?;
                let effects = self.driver.committed();
                self.release(effects).await;
                self.views.publish(|| View::of(&self.driver));
            }
        }
        Ok(())
    }

    /// Lets the effects of a durable batch happen, in order.
    async fn release(&mut self, effects: Vec<Effect>) {
        let mut events = Vec::new();
        let mut orders: std::collections::BTreeMap<SessionId, Vec<Order>> = std::collections::BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Reply(caller, reply) => self.replies.answer(caller, reply),
                Effect::Publish { event, tail } => events.push((event, tail)),
                Effect::Order(session, order) => orders.entry(session).or_default().push(order),
                Effect::Close(session, error) => {
                    tracing::warn!(session = session.0, reason = %error, "Worker session refused or ended");
                    self.send(session, orders.remove(&session).unwrap_or_default());
                    self.outbox.close(session, &error);
                }
            }
        }
        // The story before the orders: it must know of an attempt before its output can arrive.
        if !events.is_empty() {
            self.story.publish(events).await;
        }
        for (session, orders) in orders {
            self.send(session, orders);
        }
    }

    fn send(&mut self, session: SessionId, orders: Vec<Order>) {
        if !orders.is_empty() && !self.outbox.send(session, self.epoch, orders) {
            tracing::warn!(session = session.0, "Worker does not read its orders; cut off");
            self.driver.push(Input::Closed { session });
        }
    }

    /// Ends the reign: callers are answered, workers cut off; they come back to the next one.
    pub fn end(self, failure: &Failure) {
        let outcome = match failure {
            Failure::Unknown(_) => Outcome::Unknown,
            Failure::Definite(Reason::Full) => Outcome::Full,
            Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Other(_)) => Outcome::Refused,
        };
        for (caller, reply) in self.driver.fail(outcome) {
            self.replies.answer(caller, reply);
        }
        self.outbox.clear(&Error::unavailable("the scheduler starts again from its store"));
    }
}

/// The attempts under way among loaded tasks: their stored output has to be told to the engine.
pub(crate) fn under_way(tasks: &[domain::Task]) -> Vec<AttemptId> {
    tasks.iter().filter_map(domain::Task::live_id).collect()
}
