//! Pause: nothing of a queue is given to workers, until it goes on. What runs runs on; what waits keeps its place.

use crate::{Caller, Effect, Engine, Reply};
use domain::{Error, Kind, Now, Result, Write, limits};

impl Engine {
    pub(crate) fn pause(&mut self, now: Now, caller: Caller, queue: &str, on: bool) {
        let reply = self.set_paused(now, queue, on);
        self.effects.push(Effect::Reply(caller, Reply::Paused(reply)));
    }

    fn set_paused(&mut self, now: Now, queue: &str, on: bool) -> Result<()> {
        if queue.is_empty() || queue.chars().count() > limits::QUEUE_CHARS || queue.contains(char::is_control) {
            return Err(Error::field("queue", format!("must be 1 to {} printable characters", limits::QUEUE_CHARS)));
        }
        if on && self.classes.paused().len() >= limits::PAUSED_QUEUES && !self.classes.paused().contains(queue) {
            return Err(Error::new(Kind::Exhausted, format!("{} queues are paused already", limits::PAUSED_QUEUES)));
        }
        if !self.classes.pause(queue, on) {
            return Ok(());
        }
        self.extra.push(Write::Paused { queue: queue.to_owned(), on });
        if !on {
            for class in self.classes.of_queue(queue) {
                self.assign_class(now, class);
            }
        }
        Ok(())
    }
}
