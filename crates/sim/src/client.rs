//! Clients: they submit, cancel, and repeat with the same id when they don't hear.

use crate::world::{Happening, World};
use domain::{IdempotencyKey, Kind, RetryPolicy, Run, ShellRun, Spec, TaskId};
use engine::{Caller, Input, NewTask, Reply};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A client that gets no answer for so long asks again.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    to_submit: u64,
    calls: u64,
    open: BTreeMap<u64, Call>,
    /// What was acknowledged: it must not be lost.
    pub accepted: BTreeSet<TaskId>,
    /// Cancelled with acknowledgement: it must not complete.
    pub cancelled: BTreeSet<TaskId>,
    endless: BTreeSet<TaskId>,
    storm: bool,
}

#[derive(Clone)]
enum Call {
    Submit(Vec<NewTask>),
    Cancel(TaskId),
}

impl Client {
    pub fn new(tasks: u64) -> Self {
        Self {
            to_submit: tasks,
            calls: 0,
            open: BTreeMap::new(),
            accepted: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            endless: BTreeSet::new(),
            storm: true,
        }
    }

    pub fn storm_is_over(&mut self) {
        self.storm = false;
    }

    /// Nothing to ask any more.
    pub fn is_done(&self) -> bool {
        self.to_submit == 0 && self.open.is_empty() && self.endless.is_empty()
    }
}

impl World {
    /// Now and then the client does something.
    pub(crate) fn client_step(&mut self) {
        if self.client.to_submit > 0 {
            let count = 1 + self.rng.below(4.min(self.client.to_submit));
            self.client.to_submit -= count;
            let tasks = (0..count).map(|_| self.draw_task()).collect();
            self.call(Call::Submit(tasks));
        }
        if self.rng.percent(25)
            && let Some(task) = self.pick()
        {
            self.call(Call::Cancel(task));
        }
        // In the end the endless ones are cancelled, or nothing would settle.
        if !self.client.storm
            && let Some(task) = self.client.endless.iter().find(|t| self.client.accepted.contains(t)).copied()
        {
            self.call(Call::Cancel(task));
        }
        let delay = self.rng.ms(10, 4_000);
        self.after(delay, Happening::Client);
    }

    fn pick(&mut self) -> Option<TaskId> {
        let accepted = &self.client.accepted;
        let n = self.rng.below(accepted.len().max(1) as u64);
        accepted.iter().nth(usize::try_from(n).unwrap_or(0)).copied()
    }

    fn draw_task(&mut self) -> NewTask {
        self.client.calls += 1;
        let n = self.client.calls;
        let id = self.draw_id(n);
        let endless = self.rng.percent(10);
        let timeout = (!endless || self.rng.percent(50)).then_some(Duration::from_secs(20));
        if endless && timeout.is_none() {
            self.client.endless.insert(id);
        }
        let key = self.rng.percent(30).then(|| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&n.to_be_bytes());
            IdempotencyKey { key, body: [1; 16] }
        });
        let command = if endless { "endless" } else { "work" };
        let spec = Spec {
            name: "t".into(),
            description: String::new(),
            run: Run::Shell(ShellRun { command: command.into(), ..ShellRun::default() }),
            timeout,
            retry: RetryPolicy { max_retries: u32::try_from(self.rng.below(3)).unwrap_or(0) },
            key,
            worker: None,
            labels: BTreeMap::new(),
            priority: i32::try_from(self.rng.below(3)).unwrap_or(0),
            queue: "default".into(),
        };
        NewTask { id, spec: Arc::new(spec) }
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
            Call::Cancel(task) => Input::Cancel { caller, task },
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
            (Call::Cancel(task), Reply::Cancelled(Ok(_))) => {
                self.client.cancelled.insert(*task);
                self.client.endless.remove(task);
                return;
            }
            (_, Reply::Submitted(Err(error)) | Reply::Cancelled(Err(error))) => error,
            (Call::Submit(_), Reply::Cancelled(Ok(_))) | (Call::Cancel(_), Reply::Submitted(Ok(_))) => {
                unreachable!("an answer of another kind")
            }
        };
        match (error.kind(), &what) {
            (Kind::Unavailable | Kind::Unknown | Kind::Exhausted, _) => {
                self.client.calls += 1;
                self.send_call(self.client.calls, what, true);
            }
            (Kind::Precondition, Call::Cancel(task)) => {
                self.client.endless.remove(task);
            }
            (kind, _) => panic!("unexpected error {kind:?}: {error}"),
        }
    }
}
