//! Clients: they ask, repeat with the same id when they don't hear, and remember what they were told.

use crate::{
    disk, draw,
    lines::members,
    plant::Plant,
    rare::Rare,
    world::{Happening, World},
};
use domain::{Error, IdempotencyKey, Kind, Monotonic, OnLost, StateWord, TaskId, WorkerId};
use engine::{Accepted, Caller, Input, NewTask, Reply};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::Store as _;

/// A client that gets no answer for so long asks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// The queues there are.
pub(crate) const QUEUES: [&str; 2] = ["default", "other"];

#[derive(Default)]
pub(crate) struct Client {
    pub calls: u64,
    pub ids: u64,
    open: BTreeMap<u64, Call>,
    /// What was acknowledged: it must not be lost.
    pub accepted: BTreeSet<TaskId>,
    /// Cancelled with acknowledgement: it must not complete. Of arrays: members that had ended otherwise by then.
    pub cancelled: BTreeMap<TaskId, Cancelled>,
    pub endless: BTreeSet<TaskId>,
    /// Tasks that wait for their workers.
    pub waiting: BTreeSet<TaskId>,
    /// Tasks that may wait so long for their first start.
    pub patient: BTreeMap<TaskId, Duration>,
    /// Submits with a key, to be repeated under another id.
    pub keyed: Vec<NewTask>,
    /// Under which id a key was first acknowledged, and of what.
    keys: BTreeMap<[u8; 16], (TaskId, [u8; 16])>,
    /// What is to be put right before the calm can settle: paused queues and drained workers.
    pub unsettled: Vec<Call>,
}

/// An acknowledged cancel.
pub(crate) struct Cancelled {
    pub at: Monotonic,
    pub ended: BTreeSet<TaskId>,
}

#[derive(Clone)]
pub(crate) enum Call {
    Submit(Vec<NewTask>),
    Cancel(Vec<TaskId>),
    Pause(&'static str, bool),
    Drain(WorkerId, bool),
    Forget(WorkerId),
}

impl Client {
    pub fn storm_is_over(&mut self, workers: usize) {
        self.unsettled = QUEUES.into_iter().map(|queue| Call::Pause(queue, false)).collect();
        self.unsettled.extend((0..workers).map(|n| Call::Drain(WorkerId::new(&format!("w{n}")), false)));
    }

    /// Nothing to ask any more.
    pub fn is_done(&self) -> bool {
        self.open.is_empty() && self.endless.is_empty() && self.unsettled.is_empty()
    }
}

impl World {
    pub(crate) fn call(&mut self, mut what: Call) {
        if let Call::Submit(tasks) = &mut what {
            for task in tasks.iter_mut() {
                let Some(within) = task.spec.start_within else { continue };
                self.client.patient.insert(task.id, within);
                if self.plan.plant == Some(Plant::PatienceIgnored) {
                    task.spec = disk::patient_for_ever(&task.spec);
                }
            }
            for task in tasks.iter_mut().filter(|task| task.spec.on_lost == OnLost::Wait) {
                self.client.waiting.insert(task.id);
                if self.plan.plant == Some(Plant::WaitIgnored) {
                    task.spec = disk::impatient(&task.spec);
                }
            }
        }
        self.send_call(what, false);
    }

    /// Most calls reach the scheduler that reigns; some one that doesn't any more.
    fn send_call(&mut self, what: Call, repeated: bool) {
        self.client.calls += 1;
        let call = self.client.calls;
        self.client.open.insert(call, what.clone());
        self.after(PATIENCE, Happening::GiveUp { call });
        let all: Vec<u64> = self.house.processes.keys().copied().collect();
        let Some(newest) = all.last().copied() else { return };
        let to = if self.rng.percent(80) { newest } else { *self.rng.one(&all) };
        let delay = self.delay();
        self.after(delay, Happening::Call { call, to, repeated });
    }

    /// A call arrives.
    pub(crate) fn called(&mut self, call: u64, to: u64, repeated: bool) {
        let Some(what) = self.client.open.get(&call).cloned() else { return };
        let caller = Caller(call);
        let storm = !self.calm;
        if let Call::Submit(tasks) = &what
            && repeated
            && self.disk.store.reader().task(tasks[0].id).is_ok_and(|found| found.is_some())
        {
            self.sometimes(Rare::RepeatKnown);
        }
        let repeated = repeated && self.plan.plant != Some(Plant::RepeatNotNoticed);
        if let Call::Forget(worker) = &what {
            self.checks.forgotten.insert(worker.clone());
        }
        let input = match what {
            Call::Submit(tasks) => Input::Submit { caller, tasks, repeated, brief: repeated },
            Call::Cancel(tasks) => Input::Cancel { caller, tasks },
            // What is repeated after the storm must not undo what was put right.
            Call::Pause(queue, on) => Input::Pause { caller, queue: queue.into(), on: on && storm },
            Call::Drain(worker, on) => Input::Drain { caller, worker, on: on && storm },
            Call::Forget(worker) => Input::Forget { caller, worker },
        };
        self.tell(to, input);
    }

    /// No answer: ask again, saying so.
    pub(crate) fn client_gives_up(&mut self, call: u64) {
        if let Some(what) = self.client.open.remove(&call) {
            self.send_call(what, true);
        }
    }

    pub(crate) fn client_answer(&mut self, call: u64, reply: Reply) {
        let Some(what) = self.client.open.remove(&call) else { return };
        let error = match (&what, reply) {
            (Call::Submit(tasks), Reply::Submitted(Ok(accepted))) => return self.accepted(tasks, &accepted),
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
            (Kind::Unavailable | Kind::Unknown | Kind::Exhausted, _) => self.send_call(what, true),
            // Nobody of that name has come yet, or it is there.
            (Kind::NotFound | Kind::Precondition, Call::Drain(..) | Call::Forget(_)) => {}
            (Kind::Conflict, Call::Submit(tasks)) => {
                let known = |task: &NewTask| {
                    let key = task.spec.key.as_ref()?;
                    self.client.keys.get(&key.key).filter(|(_, body)| *body != key.body)
                };
                // The other body may not be acknowledged yet, or never will be.
                let other = tasks.iter().any(|task| known(task).is_some() || self.is_varied(task));
                assert!(other, "a conflict without another body: {error}");
                self.sometimes(Rare::KeyConflict);
            }
            (kind, _) => panic!("unexpected error {kind:?}: {error}"),
        }
    }

    /// Whether its key is in use with several bodies.
    fn is_varied(&self, task: &NewTask) -> bool {
        let key = |task: &NewTask| task.spec.key.clone();
        let mine = key(task);
        self.client.keyed.iter().any(|other| {
            let other = key(other);
            let same = |a: &IdempotencyKey, b: &IdempotencyKey| a.key == b.key && a.body != b.body;
            mine.as_ref().zip(other.as_ref()).is_some_and(|(a, b)| same(a, b))
        })
    }

    /// G2: a key leads to one task for ever, and only with one body.
    fn accepted(&mut self, tasks: &[NewTask], accepted: &[Accepted]) {
        assert_eq!(accepted.len(), tasks.len(), "one answer a task");
        for (task, answer) in tasks.iter().zip(accepted) {
            self.client.accepted.insert(answer.id);
            if draw::is_endless(&task.spec) {
                self.client.endless.insert(answer.id);
            }
            match &task.spec.key {
                None => assert_eq!(task.id, answer.id, "without a key a task has its own id"),
                Some(IdempotencyKey { key, body }) => {
                    let (id, first) = *self.client.keys.entry(*key).or_insert((answer.id, *body));
                    assert_eq!((id, first), (answer.id, *body), "one task a key, with one body");
                    if answer.id != task.id {
                        self.sometimes(Rare::KeyKnown);
                    }
                }
            }
        }
    }

    /// The answer for one task; what must be asked again.
    fn cancelled(&mut self, task: TaskId, result: Result<StateWord, Error>) -> Option<Error> {
        match result {
            Ok(_) => {
                self.client.endless.remove(&task);
                let (at, ended) = (self.now, self.ended_members(task));
                self.client.cancelled.entry(task).or_insert(Cancelled { at, ended });
                None
            }
            Err(error) if error.kind() == Kind::Precondition => {
                self.client.endless.remove(&task);
                if error.text().ends_with("is already completed") {
                    self.sometimes(Rare::CancelTooLate);
                }
                None
            }
            Err(error) => Some(error),
        }
    }

    /// Members of an array that have ended, but not by a cancel.
    fn ended_members(&self, array: TaskId) -> BTreeSet<TaskId> {
        let reader = self.disk.store.reader();
        let Ok(Some(whole)) = reader.task(array) else { return BTreeSet::new() };
        let ended = |id: &TaskId| {
            let word = reader.task(*id).ok().flatten().map(|task| task.state.word());
            word.is_some_and(|word| word.is_final() && word != StateWord::Cancelled)
        };
        members(&whole).into_iter().filter(ended).collect()
    }
}
