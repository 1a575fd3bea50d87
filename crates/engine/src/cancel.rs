//! Cancel: what hasn't been given to a worker is final at once; the rest when its processes are gone (PROTOCOL P6).

use crate::{Caller, Effect, Engine, Reply, array_machine::ArrayTrigger, task_machine::Trigger};
use domain::{
    AttemptId, Ending, Error, EventKind, Fact, Final, Kind, Need, Now, Order, Result, State, StateWord, Tail, TaskId,
    Write, limits,
};
use std::collections::BTreeMap;

impl Engine {
    pub(crate) fn cancel(&mut self, now: Now, caller: Caller, tasks: Vec<TaskId>, facts: &[Fact]) {
        let facts: BTreeMap<&Need, &Fact> = facts.iter().map(|fact| (&fact.need, fact)).collect();
        let mut reply = Vec::with_capacity(tasks.len());
        for id in tasks {
            let fact = if self.tasks.contains_key(&id) { None } else { facts.get(&Need::Task(id)).copied() };
            reply.push(self.cancel_one(now, id, fact));
        }
        self.effects.push(Effect::Reply(caller, Reply::Cancelled(reply)));
    }

    fn cancel_one(&mut self, now: Now, id: TaskId, fact: Option<&Fact>) -> Result<StateWord> {
        if let Some(found) = fact.and_then(|fact| fact.found.clone()) {
            if found.task.state.is_final() {
                return Err(already(found.task.state.word(), id));
            }
            self.page_in(now, found);
        }
        match fact.and_then(|fact| fact.found.as_ref()) {
            // It was found to be over: its array was cancelled, which isn't committed yet.
            Some(_) if !self.tasks.contains_key(&id) => Err(already(StateWord::Cancelled, id)),
            Some(_) | None => self.cancel_resident(now, id),
        }
    }

    fn cancel_resident(&mut self, now: Now, id: TaskId) -> Result<StateWord> {
        let Some(resident) = self.tasks.get_mut(&id) else { return Err(Error::no_task(id)) };
        if resident.task.array.is_some() {
            return self.cancel_array(now, id);
        }
        let row = resident.row;
        match resident.task.state.clone() {
            State::Pending(_) => {
                self.leave_line(id);
                if !row {
                    self.take_early(id);
                }
                let Some(resident) = self.tasks.get_mut(&id) else { return Err(Error::no_task(id)) };
                let task = resident.edit();
                let (stamp, attempt) = (task.stamp(now.wall), task.latest().map_or(0, |a| a.no.0));
                let end = Final::Cancelled { unconfirmed: None };
                self.conclude(now, id, attempt, Trigger::Cancel, end, stamp, Tail::default());
                Ok(StateWord::Cancelled)
            }
            State::Dispatched(live) | State::Running(live) => {
                let attempt = AttemptId { task: id, no: live.no };
                let task = resident.edit();
                let stamp = task.stamp(now.wall);
                task.cancel = Some(stamp);
                let worker = live.worker.clone();
                self.shift(id, Trigger::Cancel, State::Cancelling(live));
                self.publish(id, stamp, attempt.no.0, EventKind::CancelRequested, Tail::default());
                Ok(self.stop(now, attempt, &worker))
            }
            State::Cancelling(_) | State::Begun { .. } => Ok(StateWord::Cancelling),
            State::Final(_) => Err(already(resident.task.state.word(), id)),
        }
    }

    /// One write for all that is not in memory, however many members that are (PROTOCOL P4.9); the others one by one.
    fn cancel_array(&mut self, now: Now, id: TaskId) -> Result<StateWord> {
        let Some(resident) = self.tasks.get_mut(&id) else { return Err(Error::no_task(id)) };
        let begun = match &resident.task.state {
            State::Final(_) => return Err(already(resident.task.state.word(), id)),
            State::Begun { cancelling: true } => return Ok(StateWord::Cancelling),
            State::Begun { cancelling: false } => true,
            State::Pending(_) | State::Dispatched(_) | State::Running(_) | State::Cancelling(_) => false,
        };
        self.leave_line(id);
        if begun {
            self.announce_cancel(now, id);
        }
        let members: Vec<TaskId> = self.members.range(id.member(0)..=id.member(limits::ARRAY_INDEX)).copied().collect();
        let pending =
            |engine: &Self, member: &TaskId| engine.tasks.get(member).is_some_and(|r| r.task.state.word().is_pending());
        for member in members.iter().filter(|member| pending(self, member)).copied().collect::<Vec<_>>() {
            drop(self.cancel_resident(now, member));
        }
        self.close(now, id);
        for member in members {
            // Those that have ended meanwhile say so, which changes nothing.
            drop(self.cancel_resident(now, member));
        }
        self.settle(now, id);
        let word = self.tasks.get(&id).map_or(StateWord::Cancelled, |r| r.task.state.word());
        Ok(word)
    }

    fn announce_cancel(&mut self, now: Now, array: TaskId) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let task = resident.edit();
        let stamp = task.stamp(now.wall);
        task.cancel = Some(stamp);
        self.shift_array(array, ArrayTrigger::Cancel, State::Begun { cancelling: true });
        self.publish(array, stamp, 0, EventKind::CancelRequested, Tail::default());
    }

    /// All members that are still pending are cancelled: they aren't in memory.
    fn close(&mut self, now: Now, array: TaskId) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let Some(books) = &mut resident.edit().array else { return };
        books.closed = Some(now.wall);
        let counts = books.counts;
        let mut members = 0;
        for (word, n) in counts.iter().filter(|(word, n)| word.is_pending() && *n > 0) {
            self.recount_rest(array, word, StateWord::Cancelled, n);
            members += n;
        }
        self.stats.cancelled += members;
        self.touch(array);
        self.extra.push(Write::Close { array, at: now.wall });
    }

    /// Orders the kill, or, of a worker that can't, ends the attempt itself.
    fn stop(&mut self, now: Now, attempt: AttemptId, worker: &domain::WorkerId) -> StateWord {
        let Some(record) = self.workers.get(worker) else { return StateWord::Cancelling };
        if record.is_legacy() {
            self.end_attempt(now, attempt, Ending::Abandoned);
            return StateWord::Cancelled;
        }
        match &record.session {
            Some(session) => self.effects.push(Effect::Order(session.id, Order::Kill(attempt))),
            // Its worker is away for so long already that only a task that waits for it can still be here: nobody would
            // come to end it (PROTOCOL P6).
            None if now.mono.since(record.away_since) >= self.config.lost_after => {
                self.end_attempt(now, attempt, Ending::Abandoned);
                return StateWord::Cancelled;
            }
            None => {}
        }
        StateWord::Cancelling
    }
}

fn already(word: StateWord, id: TaskId) -> Error {
    Error::new(Kind::Precondition, format!("task {id} is already {}", word.as_str()))
}
