//! Clients: they submit, cancel, retry, pause and drain, and repeat with the same id when they don't hear.

use crate::{
    draw,
    lines::members,
    world::{Happening, World},
};
use domain::{Error, Kind, StateWord, TaskId, WorkerId};
use engine::{Caller, Input, NewTask, Reply};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::Store as _;

/// A client that gets no answer for so long asks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// The queues there are.
pub(crate) const QUEUES: [&str; 2] = ["default", "other"];

pub(crate) struct Client {
    to_submit: u64,
    pub calls: u64,
    open: BTreeMap<u64, Call>,
    /// What was acknowledged: it must not be lost.
    pub accepted: BTreeSet<TaskId>,
    /// Cancelled with acknowledgement: it must not complete. Of arrays: members that had ended otherwise by then.
    pub cancelled: BTreeMap<TaskId, BTreeSet<TaskId>>,
    pub endless: BTreeSet<TaskId>,
    /// What is to be put right before the calm can settle: paused queues and drained workers.
    unsettled: Vec<Call>,
    storm: bool,
}

#[derive(Clone)]
enum Call {
    Submit(Vec<NewTask>),
    Cancel(Vec<TaskId>),
    Pause(&'static str, bool),
    Drain(WorkerId, bool),
    Forget(WorkerId),
}

impl Client {
    pub fn new(tasks: u64) -> Self {
        Self {
            to_submit: tasks,
            calls: 0,
            open: BTreeMap::new(),
            accepted: BTreeSet::new(),
            cancelled: BTreeMap::new(),
            endless: BTreeSet::new(),
            unsettled: Vec::new(),
            storm: true,
        }
    }

    pub fn storm_is_over(&mut self, workers: usize) {
        self.storm = false;
        self.unsettled = QUEUES.into_iter().map(|queue| Call::Pause(queue, false)).collect();
        self.unsettled.extend((0..workers).map(|n| Call::Drain(WorkerId::new(&format!("w{n}")), false)));
    }

    /// Nothing to ask any more.
    pub fn is_done(&self) -> bool {
        self.to_submit == 0 && self.open.is_empty() && self.endless.is_empty() && self.unsettled.is_empty()
    }
}

impl World {
    /// Now and then the client does something.
    pub(crate) fn client_step(&mut self) {
        if self.client.to_submit > 0 {
            let count = 1 + self.rng.below(4.min(self.client.to_submit));
            self.client.to_submit -= count;
            let tasks = (0..count).map(|_| draw::task(self)).collect();
            self.call(Call::Submit(tasks));
        }
        if self.rng.percent(25) {
            let tasks: Vec<TaskId> = (0..=self.rng.below(2)).filter_map(|_| self.pick(true)).collect();
            self.call(Call::Cancel(tasks));
        }
        if self.client.storm {
            self.play();
        } else if let Some(call) = self.client.unsettled.pop() {
            self.call(call);
        }
        // In the end the endless ones are cancelled, or nothing would settle.
        if !self.client.storm
            && let Some(task) = self.client.endless.iter().find(|t| self.client.accepted.contains(t)).copied()
        {
            self.call(Call::Cancel(vec![task]));
        }
        let delay = self.rng.ms(10, 4_000);
        self.after(delay, Happening::Client);
    }

    /// What people do to a fleet while things break.
    fn play(&mut self) {
        let worker = WorkerId::new(&format!("w{}", self.rng.below(self.workers.len() as u64)));
        let queue = QUEUES[usize::from(self.rng.percent(50))];
        let on = self.rng.percent(40);
        match self.rng.below(20) {
            0..3 => self.retry(),
            3..5 => self.call(Call::Pause(queue, on)),
            5 => self.call(Call::Drain(worker, on)),
            6 => self.call(Call::Forget(worker)),
            7 => self.cancel_many(),
            _ => {}
        }
    }

    /// Cancels much of what waits in one call.
    fn cancel_many(&mut self) {
        let reader = self.scheduler.disk.reader();
        let word = |id: &TaskId| reader.task(*id).ok().flatten().map(|task| task.state.word());
        let accepted = self.client.accepted.iter().copied();
        let pending: Vec<TaskId> = accepted.filter(|id| word(id).is_some_and(StateWord::is_pending)).take(8).collect();
        self.call(Call::Cancel(pending));
    }

    /// Runs a task that has ended again, if the one picked has.
    fn retry(&mut self) {
        let Some(id) = self.pick(false) else { return };
        let Ok(Some(task)) = self.scheduler.disk.reader().task(id) else { return };
        if let Some(again) = draw::again(self, &task) {
            self.report.retried += 1;
            self.call(Call::Submit(vec![again]));
        }
    }

    /// A task that was accepted or, if that may be, a member of one.
    fn pick(&mut self, member: bool) -> Option<TaskId> {
        let accepted = &self.client.accepted;
        let n = self.rng.below(accepted.len().max(1) as u64);
        let id = accepted.iter().nth(usize::try_from(n).unwrap_or(0)).copied()?;
        let whole = self.scheduler.disk.reader().task(id).ok().flatten()?;
        let all = members(&whole);
        let n = usize::try_from(self.rng.below(all.len().max(1) as u64)).unwrap_or(0);
        if member && self.rng.percent(70) { all.get(n).copied() } else { Some(id) }
    }

    fn call(&mut self, what: Call) {
        self.client.calls += 1;
        self.send_call(self.client.calls, what, false);
    }

    fn send_call(&mut self, call: u64, what: Call, repeated: bool) {
        self.client.open.insert(call, what.clone());
        let caller = Caller(call);
        self.tell(match what {
            Call::Submit(tasks) => Input::Submit { caller, tasks, repeated, brief: repeated },
            Call::Cancel(tasks) => Input::Cancel { caller, tasks },
            // What is repeated after the storm must not undo what was put right.
            Call::Pause(queue, on) => Input::Pause { caller, queue: queue.into(), on: on && self.client.storm },
            Call::Drain(worker, on) => Input::Drain { caller, worker, on: on && self.client.storm },
            Call::Forget(worker) => Input::Forget { caller, worker },
        });
        self.after(PATIENCE, Happening::GiveUp { call });
    }

    /// No answer: ask again, saying so.
    pub(crate) fn client_gives_up(&mut self, call: u64) {
        if let Some(what) = self.client.open.remove(&call) {
            self.client.calls += 1;
            self.send_call(self.client.calls, what, true);
        }
    }

    pub(crate) fn client_answer(&mut self, call: u64, reply: Reply) {
        let Some(what) = self.client.open.remove(&call) else { return };
        let error = match (&what, reply) {
            (Call::Submit(tasks), Reply::Submitted(Ok(accepted))) => {
                assert_eq!(accepted.len(), tasks.len(), "one answer a task");
                return self.client.accepted.extend(accepted.iter().map(|a| a.id));
            }
            (Call::Cancel(tasks), Reply::Cancelled(results)) => {
                assert_eq!(results.len(), tasks.len(), "one answer a task");
                let answers = tasks.iter().zip(results).filter_map(|(task, result)| self.cancelled(*task, result));
                match answers.last() {
                    Some(error) => error,
                    None => return,
                }
            }
            (Call::Pause(..), Reply::Paused(Ok(())))
            | (Call::Drain(..), Reply::Drained(Ok(_)))
            | (Call::Forget(_), Reply::Forgotten(Ok(_))) => return,
            (_, Reply::Submitted(Err(error)) | Reply::Paused(Err(error))) => error,
            (_, Reply::Drained(Err(error)) | Reply::Forgotten(Err(error))) => error,
            (Call::Submit(_) | Call::Cancel(_) | Call::Pause(..) | Call::Drain(..) | Call::Forget(_), reply) => {
                unreachable!("an answer of another kind: {reply:?}")
            }
        };
        match (error.kind(), &what) {
            (Kind::Unavailable | Kind::Unknown | Kind::Exhausted, _) => {
                self.client.calls += 1;
                self.send_call(self.client.calls, what, true);
            }
            // Nobody of that name has come yet, or it is there.
            (Kind::NotFound | Kind::Precondition, Call::Drain(..) | Call::Forget(_)) => {}
            (kind, _) => panic!("unexpected error {kind:?}: {error}"),
        }
    }

    /// The answer for one task; what must be asked again.
    fn cancelled(&mut self, task: TaskId, result: Result<StateWord, Error>) -> Option<Error> {
        match result {
            Ok(_) => {
                self.client.endless.remove(&task);
                let ended = self.ended_members(task);
                self.client.cancelled.entry(task).or_insert(ended);
                None
            }
            Err(error) if error.kind() == Kind::Precondition => {
                self.client.endless.remove(&task);
                None
            }
            Err(error) => Some(error),
        }
    }

    /// Members of an array that have ended, but not by a cancel.
    fn ended_members(&self, array: TaskId) -> BTreeSet<TaskId> {
        let reader = self.scheduler.disk.reader();
        let Ok(Some(whole)) = reader.task(array) else { return BTreeSet::new() };
        let ended = |id: &TaskId| {
            let word = reader.task(*id).ok().flatten().map(|task| task.state.word());
            word.is_some_and(|word| word.is_final() && word != StateWord::Cancelled)
        };
        members(&whole).into_iter().filter(ended).collect()
    }
}
