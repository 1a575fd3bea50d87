//! Cancel: what hasn't been given to a worker is final at once; the rest when its processes are gone (PROTOCOL P6).

use crate::{
    Caller, Effect, Engine, Reply,
    task_machine::{Trigger, move_to},
};
use domain::{
    AttemptId, Ending, Error, EventKind, Fact, Final, Kind, Need, Now, Order, Result, State, StateWord, Tail, TaskId,
    Wait,
};

impl Engine {
    pub(crate) fn cancel(&mut self, now: Now, caller: Caller, id: TaskId, facts: &[Fact]) {
        let reply = if self.tasks.contains_key(&id) { self.cancel_resident(now, id) } else { absent(id, facts) };
        self.effects.push(Effect::Reply(caller, Reply::Cancelled(reply)));
    }

    fn cancel_resident(&mut self, now: Now, id: TaskId) -> Result<StateWord> {
        let Some(resident) = self.tasks.get_mut(&id) else { return Err(Error::no_task(id)) };
        let (class, task) = (resident.class, resident.edit());
        match &task.state {
            State::Pending(wait) => {
                if *wait == Wait::Queued {
                    self.classes.remove(class, task.ready_seq);
                }
                let (stamp, attempt) = (task.stamp(now.wall), task.latest().map_or(0, |a| a.no.0));
                let end = Final::Cancelled { unconfirmed: None };
                self.conclude(id, attempt, Trigger::Cancel, end, stamp, Tail::default());
                Ok(StateWord::Cancelled)
            }
            State::Dispatched(live) | State::Running(live) => {
                let live = live.clone();
                let attempt = AttemptId { task: id, no: live.no };
                let stamp = task.stamp(now.wall);
                task.cancel = Some(stamp);
                let worker = live.worker.clone();
                move_to(task, Trigger::Cancel, State::Cancelling(live));
                self.touch(id);
                self.publish(id, stamp, attempt.no.0, EventKind::CancelRequested, Tail::default());
                Ok(self.stop(now, attempt, &worker))
            }
            State::Cancelling(_) => Ok(StateWord::Cancelling),
            State::Final(_) => Err(already(task.state.word(), id)),
        }
    }

    /// Orders the kill, or, of a worker that can't, ends the attempt itself.
    fn stop(&mut self, now: Now, attempt: AttemptId, worker: &domain::WorkerId) -> StateWord {
        let Some(record) = self.workers.get(worker) else { return StateWord::Cancelling };
        if record.is_legacy() {
            self.end_attempt(now, attempt, Ending::Abandoned);
            return StateWord::Cancelled;
        }
        if let Some(session) = &record.session {
            self.effects.push(Effect::Order(session.id, Order::Kill(attempt)));
        }
        StateWord::Cancelling
    }
}

fn absent(id: TaskId, facts: &[Fact]) -> Result<StateWord> {
    let task = facts.iter().find(|f| f.need == Need::Task(id)).and_then(|f| f.task.as_ref());
    Err(task.map_or_else(|| Error::no_task(id), |task| already(task.state.word(), id)))
}

fn already(word: StateWord, id: TaskId) -> Error {
    Error::new(Kind::Precondition, format!("task {id} is already {}", word.as_str()))
}
