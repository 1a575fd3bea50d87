//! Submit: accept tasks, all of a call or none.

use crate::{Accepted, Caller, Effect, Engine, NewTask, Reply, Resident, explain};
use domain::{
    Error, EventKind, Fact, Kind, Need, Now, Progress, Result, Stamp, State, Tail, Task, TaskId, Wait, WaitReason,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What becomes of one task of a call.
enum Plan {
    /// It is new.
    Accept(NewTask),
    /// It was accepted earlier, under the same id or key.
    Known(Accepted),
    /// The same key stands earlier in this call.
    SameAs(TaskId),
}

impl Engine {
    /// Ids of repeated calls and keys that aren't in memory have to be looked up.
    pub(crate) fn submit_needs(&self, tasks: &[NewTask], repeated: bool) -> Vec<Need> {
        let mut needs = Vec::new();
        for task in tasks {
            if repeated && !self.tasks.contains_key(&task.id) {
                needs.push(Need::Task(task.id));
            }
            if let Some(key) = &task.spec.key
                && !self.keys.contains_key(&key.key)
            {
                needs.push(Need::Key(key.key));
            }
        }
        needs
    }

    pub(crate) fn submit(&mut self, now: Now, caller: Caller, tasks: Vec<NewTask>, brief: bool, facts: &[Fact]) {
        let reply = self.plan(tasks, facts).map(|plans| self.accept(now, plans, brief));
        self.effects.push(Effect::Reply(caller, Reply::Submitted(reply)));
    }

    /// Checks all before anything changes.
    fn plan(&self, tasks: Vec<NewTask>, facts: &[Fact]) -> Result<Vec<Plan>> {
        let facts: BTreeMap<&Need, &Task> =
            facts.iter().filter_map(|f| f.task.as_ref().map(|task| (&f.need, task))).collect();
        let mut ids = BTreeSet::new();
        let mut keys: BTreeMap<[u8; 16], ([u8; 16], TaskId)> = BTreeMap::new();
        let mut plans = Vec::with_capacity(tasks.len());
        for task in tasks {
            if !ids.insert(task.id) {
                return Err(Error::field("task_id", format!("{} stands twice in this call", task.id)));
            }
            let earlier = self.tasks.get(&task.id).map(|r| &*r.task);
            if let Some(earlier) = earlier.or_else(|| facts.get(&Need::Task(task.id)).copied()) {
                plans.push(Plan::Known(known(earlier)));
                continue;
            }
            if let Some(key) = &task.spec.key {
                let resident = self.keys.get(&key.key).and_then(|id| self.tasks.get(id)).map(|r| &*r.task);
                if let Some(earlier) = resident.or_else(|| facts.get(&Need::Key(key.key)).copied()) {
                    same_body(earlier.spec.key.as_ref().map(|k| k.body), key.body, earlier.id)?;
                    plans.push(Plan::Known(known(earlier)));
                    continue;
                }
                if let Some((body, id)) = keys.get(&key.key) {
                    same_body(Some(*body), key.body, *id)?;
                    plans.push(Plan::SameAs(*id));
                    continue;
                }
                keys.insert(key.key, (key.body, task.id));
            }
            plans.push(Plan::Accept(task));
        }
        Ok(plans)
    }

    fn accept(&mut self, now: Now, plans: Vec<Plan>, brief: bool) -> Vec<Accepted> {
        let mut classes = BTreeSet::new();
        let mut accepted: Vec<Accepted> = Vec::with_capacity(plans.len());
        for plan in plans {
            accepted.push(match plan {
                Plan::Known(earlier) => earlier,
                Plan::SameAs(id) => Accepted { id, at: now.wall, waiting: None },
                Plan::Accept(task) => {
                    classes.insert(self.take_in(now, &task));
                    Accepted { id: task.id, at: now.wall, waiting: None }
                }
            });
        }
        for class in classes {
            self.assign_class(now, class);
        }
        if !brief {
            let workers = self.worker_snapshots();
            for entry in &mut accepted {
                entry.waiting = self.why_waiting(entry.id, &workers);
            }
        }
        accepted
    }

    fn take_in(&mut self, now: Now, new: &NewTask) -> crate::ClassId {
        self.ready_seq += 1;
        let accepted = Stamp { event: 1, at: now.wall };
        let task = Task {
            id: new.id,
            spec: Arc::clone(&new.spec),
            ready_seq: self.ready_seq,
            accepted,
            state: State::Pending(Wait::Queued),
            ended: Vec::new(),
            backed_off: Vec::new(),
            cancel: None,
            finished: None,
            events: 1,
            progress: Progress::default(),
            result: Vec::new(),
            updated: now.wall,
        };
        let class = self.classes.intern(&new.spec);
        if let Some(key) = &new.spec.key {
            self.keys.insert(key.key, new.id);
        }
        self.tasks.insert(new.id, Resident::new(Arc::new(task), class));
        self.dirty.insert(new.id, true);
        self.classes.push(class, self.ready_seq, new.id);
        self.stats.submitted += 1;
        self.publish(new.id, accepted, 0, EventKind::Accepted, Tail::default());
        class
    }

    /// Why a resident task waits; `None` if it doesn't.
    fn why_waiting(&self, id: TaskId, workers: &[domain::WorkerSnapshot]) -> Option<WaitReason> {
        let resident = self.tasks.get(&id)?;
        match &resident.task.state {
            State::Pending(Wait::Queued) => explain(&resident.task.spec, workers, &self.offered, || {
                self.classes.get(resident.class).map_or(0, |c| c.ahead(resident.task.ready_seq))
            }),
            State::Pending(Wait::BackingOff(due)) => Some(WaitReason::BackingOff { until: due.at }),
            State::Dispatched(_) | State::Running(_) | State::Cancelling(_) | State::Final(_) => None,
        }
    }
}

fn known(task: &Task) -> Accepted {
    Accepted { id: task.id, at: task.accepted.at, waiting: None }
}

fn same_body(earlier: Option<[u8; 16]>, body: [u8; 16], id: TaskId) -> Result<()> {
    if earlier == Some(body) {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, format!("idempotency_key: was used for task {id} with another content")))
}
