//! Forget: a worker that isn't connected is struck off; what it held is lost at once (PROTOCOL P1).

use crate::{Caller, Effect, Engine, Reply, drain::no_worker};
use domain::{AttemptId, Ending, Error, Kind, Now, Result, WorkerId, Write};

impl Engine {
    pub(crate) fn forget(&mut self, now: Now, caller: Caller, worker: &WorkerId) {
        let reply = self.strike_off(now, worker);
        self.effects.push(Effect::Reply(caller, Reply::Forgotten(reply)));
    }

    fn strike_off(&mut self, now: Now, worker: &WorkerId) -> Result<u32> {
        let drained = self.draining.contains(worker);
        let Some(record) = self.workers.get(worker) else {
            if !drained {
                return Err(no_worker(worker));
            }
            self.undrain(worker);
            return Ok(0);
        };
        if record.session.is_some() {
            let text = format!("worker {worker} is connected; stop it first, or drain it");
            return Err(Error::new(Kind::Precondition, text));
        }
        let held: Vec<_> = record.held.iter().map(|(task, no)| AttemptId { task: *task, no: *no }).collect();
        for attempt in &held {
            self.end_attempt(now, *attempt, Ending::Lost);
        }
        self.workers.remove(worker);
        if drained {
            self.undrain(worker);
        }
        self.unwant_classes();
        Ok(u32::try_from(held.len()).unwrap_or(u32::MAX))
    }

    fn undrain(&mut self, worker: &WorkerId) {
        self.draining.remove(worker);
        self.extra.push(Write::Drained { worker: worker.clone(), on: false });
    }
}
