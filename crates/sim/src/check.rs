//! What must hold, whatever happens.

use crate::{worker::Worker, world::World};
use domain::{AttemptId, Event, EventKind, Exit, Final, State, StateWord, Task, TaskId, Totals};
use std::collections::{BTreeMap, BTreeSet};
use store::Store as _;

/// What was seen.
#[derive(Default)]
pub(crate) struct Checks {
    started: BTreeSet<AttemptId>,
    exits: BTreeMap<AttemptId, (Exit, Totals)>,
    ends: BTreeMap<TaskId, StateWord>,
    last_event: BTreeMap<TaskId, u64>,
}

impl Checks {
    /// G4: a given attempt is started at most once, anywhere.
    pub fn started(&mut self, attempt: AttemptId) {
        assert!(self.started.insert(attempt), "{attempt:?} is started twice");
    }

    pub fn exited(&mut self, attempt: AttemptId, exit: &Exit, totals: Totals) {
        self.exits.insert(attempt, (exit.clone(), totals));
    }

    /// G3: one end, which never changes. Events are published in order, each once.
    pub fn published(&mut self, event: &Event) {
        let last = self.last_event.entry(event.task).or_default();
        assert!(event.stamp.event > *last, "event {} of {} after {last}", event.stamp.event, event.task);
        *last = event.stamp.event;
        if let EventKind::Finished(end, _) = &event.kind {
            let word = State::Final(end.clone()).word();
            assert!(self.ends.insert(event.task, word).is_none(), "{} ends twice", event.task);
        }
    }
}

impl World {
    /// After the calm.
    pub(crate) fn check_end(&mut self) {
        let reader = self.scheduler.disk.reader();
        let accepted: Vec<TaskId> = self.client.accepted.iter().copied().collect();
        for id in accepted {
            let Ok(Some(task)) = reader.task(id) else { panic!("{id} was acknowledged and is gone") };
            assert!(task.state.is_final(), "{id} is stuck: {:?}", task.state);
            self.check_task(&task);
            self.report.tasks += 1;
        }
        for worker in &self.workers {
            let left: Vec<_> = Worker::running(worker).collect();
            assert!(left.is_empty(), "processes left: {left:?}");
        }
        assert!(self.client.is_done(), "a client is still waiting");
        let stats = self.scheduler.process.as_ref().map(|p| p.driver.engine().stats()).unwrap_or_default();
        self.report.lost += stats.lost;
        self.report.refused += stats.refused_reports;
    }

    fn check_task(&self, task: &Task) {
        let id = task.id;
        // G4: attempts count up from 1.
        for (attempt, want) in task.attempts().zip(1..) {
            assert_eq!(attempt.no.0, want, "{id}: numbers of attempts");
        }
        // The story has no gaps but for progress, of which there is none here.
        let numbers: Vec<u64> = task.events().iter().map(|e| e.stamp.event).collect();
        assert_eq!(numbers, (1..=task.events).collect::<Vec<_>>(), "{id}: numbers of events");
        if let Some(seen) = self.checks.ends.get(&id) {
            assert_eq!(*seen, task.state.word(), "{id}: the end that was published");
        }
        // G8: what was cancelled with acknowledgement never completes.
        let State::Final(end) = &task.state else { return };
        if self.client.cancelled.contains(&id) {
            assert!(matches!(end, Final::Cancelled { .. }), "{id} was cancelled and is {end:?}");
        }
        if *end != Final::Completed {
            return;
        }
        // G7 and the point of it all: completed means that the process really exited 0 and its output is whole.
        let Some(last) = task.latest() else { panic!("{id} completed without an attempt") };
        let attempt = AttemptId { task: id, no: last.no };
        let Some((exit, totals)) = self.checks.exits.get(&attempt) else { panic!("{id} completed, but never exited") };
        assert!(exit.success(), "{id} completed, but exited with {exit:?}");
        let tails = self.scheduler.disk.reader().tails(id).unwrap_or_default();
        let mut frames = self.scheduler.output.get(&attempt).cloned().unwrap_or_default();
        frames.extend(tails.iter().filter(|(_, f)| f.attempt == attempt).map(|(_, f)| f.number));
        assert_eq!(frames.into_iter().collect::<Vec<_>>(), (1..=totals.frames).collect::<Vec<_>>(), "{id}: output");
        assert_eq!(last.totals, *totals, "{id}: totals");
    }
}
