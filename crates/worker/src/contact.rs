//! What comes from the scheduler.

use crate::{core::Core, transport::Event};
use session::Input;
use wire::{v1, worker};

/// The obstacle's name on /readyz.
pub(crate) const SCHEDULER: &str = "scheduler";

impl Core {
    pub(crate) fn session_event(&mut self, event: Event<v1::WorkerResponse, v1::TaskAssignment>) {
        match event {
            Event::Up { to, cut } => {
                self.session_link.up(to, cut);
                self.give(Input::Connected);
            }
            Event::Message(message) => self.orders(*message),
            Event::Down(why) => {
                self.session_link.down();
                self.give(Input::Disconnected);
                if let Some(why) = why {
                    self.out_of_contact(why);
                }
            }
        }
    }

    fn orders(&mut self, message: v1::TaskAssignment) {
        let was_open = self.session.is_open();
        self.seen.heard(&message);
        match worker::order_batch(message) {
            Ok(batch) => self.give(Input::Orders(batch)),
            Err(error) => {
                tracing::error!(%error, "The scheduler sent what this worker does not understand");
                self.session_link.cut();
                self.give(Input::Disconnected);
                self.out_of_contact(error.text().to_owned());
            }
        }
        if !was_open && self.session.is_open() {
            self.trouble.clear();
            self.readiness.done(SCHEDULER);
            tracing::info!(scheduler = self.scheduler, session = self.session.number(), "Scheduler reached");
        }
    }

    /// Says so once for each reason.
    pub(crate) fn out_of_contact(&mut self, why: String) {
        if why == self.trouble {
            return;
        }
        let text = format!("no contact with {}: {why}", self.scheduler);
        if self.leaving.is_staying() {
            tracing::warn!(scheduler = self.scheduler, reason = why, "Waiting for the scheduler");
        }
        self.readiness.waiting(SCHEDULER, text);
        self.trouble = why;
    }

    pub(crate) fn output_event(&mut self, event: Event<v1::OutputFrames, v1::OutputAcks>) {
        match event {
            Event::Up { to, cut } => {
                self.output_link.up(to, cut);
                self.give(Input::OutputConnected);
            }
            Event::Message(message) => {
                let v1::OutputAcks { acks } = *message;
                for ack in acks {
                    match worker::ack(ack) {
                        Ok((attempt, number)) => self.give(Input::FramesAcked { attempt, number }),
                        Err(error) => tracing::error!(%error, "The scheduler acknowledged what is no attempt"),
                    }
                }
            }
            Event::Down(why) => {
                tracing::debug!(reason = why, "The output stream is down");
                self.output_link.down();
                self.give(Input::OutputDisconnected);
            }
        }
    }
}
