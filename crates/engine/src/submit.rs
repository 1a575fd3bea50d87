//! Submit: accept tasks, all of a call or none.

use crate::{Accepted, Caller, Effect, Engine, NewTask, Reply, Snapshot, waiting};
use domain::{
    Due, Error, EventKind, Fact, Kind, Members, Need, Now, Progress, Result, Stamp, State, Tail, Task, TaskId, Wait,
    WaitReason, Write,
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
            facts.iter().filter_map(|f| f.found.as_ref().map(|found| (&f.need, &found.task))).collect();
        // A gateway draws them one after the other.
        let ascending = tasks.is_sorted_by(|a, b| a.id < b.id);
        let mut ids = BTreeSet::new();
        let mut keys: BTreeMap<[u8; 16], ([u8; 16], TaskId)> = BTreeMap::new();
        let mut plans = Vec::with_capacity(tasks.len());
        for task in tasks {
            if !ascending && !ids.insert(task.id) {
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
        self.effects.reserve(plans.len() + 1);
        self.dirty.reserve(plans.len());
        for plan in plans {
            accepted.push(match plan {
                Plan::Known(earlier) => earlier,
                Plan::SameAs(id) => Accepted { id, at: now.wall, waiting: None },
                Plan::Accept(task) => {
                    let id = task.id;
                    classes.insert(self.take_in(now, task));
                    Accepted { id, at: now.wall, waiting: None }
                }
            });
        }
        for class in classes {
            self.assign_class(now, class);
        }
        if !brief {
            let snapshot = self.snapshot();
            for entry in &mut accepted {
                entry.waiting = self.why_waiting(entry.id, &snapshot);
            }
        }
        accepted
    }

    fn take_in(&mut self, now: Now, new: NewTask) -> crate::ClassId {
        let NewTask { id, spec, entries, retry } = new;
        let members = spec.array.as_ref().map_or(1, |array| array.ranges.len());
        let accepted = Stamp { event: 1, at: now.wall };
        let wait = match spec.run_at.filter(|at| *at > now.wall) {
            None => Wait::Queued,
            Some(at) => Wait::Delayed(Due { at, length: now.wall.until(at) }),
        };
        let state = State::Pending(wait);
        let word = state.word();
        // A retry takes the place that it had: it doesn't queue behind what came later.
        let ready_seq = retry.map_or(self.ready_seq + 1, |retry| retry.ready_seq);
        if retry.is_none() {
            self.ready_seq += members;
        }
        let task = Arc::new(Task {
            id,
            ready_seq,
            accepted,
            state,
            ended: Vec::new(),
            backed_off: Vec::new(),
            cancel: None,
            finished: None,
            events: 1,
            progress: Progress::default(),
            result: Vec::new(),
            updated: now.wall,
            array: spec.array.as_ref().map(|array| Members::new(array.ranges.len(), word)),
            entry: None,
            retry_of: retry.map(|retry| retry.task),
            spec,
        });
        let class = self.intern(&task.spec);
        self.enter(task, class, false);
        self.touch(id);
        if !entries.is_empty() {
            self.extra.push(Write::Entries { array: id, first: 0, entries });
        }
        self.tally(class, word, i64::try_from(members).unwrap_or(i64::MAX));
        self.line_up(now, id);
        self.stats.submitted += members;
        self.publish(id, accepted, 0, EventKind::Accepted, Tail::default());
        class
    }

    /// Why a resident task waits; `None` if it doesn't. Of a class that is not wholly in memory the number of tasks that
    /// come first is a lower bound.
    fn why_waiting(&self, id: TaskId, snapshot: &Snapshot) -> Option<WaitReason> {
        let resident = self.tasks.get(&id)?;
        let reason = waiting(&resident.task, snapshot, || {
            let class = self.classes.get(resident.class);
            let before = class.into_iter().flat_map(|class| class.window.before(resident.task.place()));
            let count = |place: &domain::Place| self.tasks.get(&place.id).map_or(1, |r| r.task.rest());
            before.take(usize::try_from(WaitReason::BEHIND).unwrap_or(usize::MAX)).map(count).sum()
        });
        reason.filter(|reason| *reason != WaitReason::Starting)
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
