//! Carrying out what the session decided.

use crate::{
    core::{Core, wall},
    executors::{Started, gone_is_told},
    seen::Seen,
};
use domain::{Exit, Frame, Start};
use session::{Effect, Input, ToScheduler};
use std::sync::Arc;
use wire::{
    v1::{self, worker_response::Message},
    worker,
};

/// Starts before what ended meanwhile is said: of tasks that are over at once, as many as a message has reports of.
const STARTS: u32 = 256;

impl Core {
    /// Starts what can start, then does everything else, in order.
    pub(crate) async fn carry_out(&mut self) {
        // What is over at once frees its slot for the next before anything is sent.
        let mut begun = 0;
        while let Some(start) = self.session.next_start() {
            self.start(start).await;
            begun += 1;
            if begun == STARTS {
                begun = 0;
                let effects = self.session.say(self.now());
                self.carry_out_all(effects).await;
                // The streams have their turn: the scheduler works on these while the next ones run.
                tokio::task::yield_now().await;
            }
        }
        let effects = self.session.drain(self.now());
        self.carry_out_all(effects).await;
        self.tell_keeper().await;
        self.meters.flush(self.session.running() + self.direct.count());
    }

    async fn carry_out_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.meters.effect(&effect);
            self.carry_out_one(effect).await;
        }
        self.session_link.flush();
        self.output_link.flush();
    }

    async fn carry_out_one(&mut self, effect: Effect) {
        match effect {
            Effect::Send(message) => {
                let message = Some(encode(message, &self.seen));
                self.session_link.send(v1::WorkerResponse { message });
            }
            Effect::SendFrames(frames) => self.send_frames(frames),
            Effect::Start(start) => self.start(start).await,
            Effect::Kill(attempt) => self.executors.kill(attempt).await,
            Effect::Release { attempt, frame } => self.executors.release(attempt, frame).await,
            Effect::Drop(attempt) => {
                self.traced.forget(attempt);
                self.executors.forget(attempt).await;
            }
            Effect::Remember(known) => {
                if let Err(error) = self.data_dir.remember(&known) {
                    // This process still knows; only the next one might listen to a scheduler that was replaced.
                    tracing::error!(%error, "Cannot remember the scheduler's epoch");
                }
            }
            Effect::Disconnect(reason) => {
                self.session_link.cut();
                self.out_of_contact(reason);
            }
        }
    }

    pub(crate) async fn start(&mut self, start: Start) {
        let attempt = start.attempt;
        let place = self.traced.begin(&start);
        match self.executors.start(start, place).await {
            Started::InKeeper => {}
            Started::Here => self.started(attempt),
            Started::Over(ended) => {
                self.started(attempt);
                self.ended(ended);
            }
            Started::Forbidden(reason) => {
                tracing::warn!(task_id = %attempt.task, reason, "Not started");
                // Its end, not a refusal: those are tried again at once.
                self.exited(attempt, Exit::NotStarted(reason), domain::Totals::default(), Vec::new(), 0, true);
            }
            Started::Refused(reason) if crate::direct::is_direct(attempt) => {
                let exit = Exit::NotStarted(reason);
                self.exited(attempt, exit, domain::Totals::default(), Vec::new(), 0, true);
            }
            Started::Refused(reason) => self.give(Input::Refused { attempt, reason }),
        }
    }

    fn send_frames(&mut self, frames: Vec<Arc<Frame>>) {
        // The session keeps its own until they are stored.
        let frames = frames.into_iter().map(|f| worker::v1_frame(Arc::unwrap_or_clone(f))).collect();
        self.output_link.send(v1::OutputFrames { frames, ..self.worker.clone() });
    }

    /// Out of contact the keeper spools instead of blocking the tasks' pipes.
    async fn tell_keeper(&mut self) {
        let detached = !self.session.is_open();
        if detached != self.detached {
            self.detached = detached;
            gone_is_told(self.executors.keeper.detached(detached).await);
        }
    }
}

fn encode(message: ToScheduler, seen: &Seen) -> Message {
    match message {
        ToScheduler::Hello(hello) => Message::Hello(seen.say(worker::v1_hello(hello))),
        ToScheduler::Update { reports, offer } => Message::Update(worker::v1_update(reports, offer, wall())),
    }
}
