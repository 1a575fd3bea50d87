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
    pub lines: crate::lines::Lines,
    /// Commits that succeeded.
    pub commits: u64,
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
            for member in crate::lines::members(&task) {
                let Ok(Some(task)) = reader.task(member) else { panic!("{member} is gone") };
                assert!(task.state.is_final(), "{member} is stuck: {:?}", task.state);
                self.check_task(&task);
                self.report.tasks += 1;
            }
            if task.array.is_some() {
                self.check_array(&task);
            }
        }
        for worker in &self.workers {
            let left: Vec<_> = Worker::running(worker).collect();
            assert!(left.is_empty(), "processes left: {left:?}");
        }
        assert!(self.client.is_done(), "a client is still waiting");
        let stats = self.scheduler.process.as_ref().map(|p| p.driver.engine().stats()).unwrap_or_default();
        self.report.lost += stats.lost;
        self.report.refused += stats.refused.total();
    }

    /// P5: an array's state and numbers follow from its members'.
    fn check_array(&self, array: &Task) {
        let reader = self.scheduler.disk.reader();
        let mut counts = domain::Counts::default();
        for id in crate::lines::members(array) {
            let Ok(Some(member)) = reader.task(id) else { panic!("{id} is gone") };
            counts.add(member.state.word(), 1);
        }
        assert_eq!(array.array.as_ref().map(|books| books.counts), Some(counts), "{}: members", array.id);
        let order = [StateWord::Failed, StateWord::TimedOut, StateWord::Cancelled, StateWord::Completed];
        let word = order.into_iter().find(|word| counts.get(*word) > 0);
        assert_eq!(Some(array.state.word()), word, "{}: its end and its members'", array.id);
        let mut numbers: Vec<u64> = array.events().iter().map(|e| e.stamp.event).collect();
        let progress = reader.progress(array.id, 0).unwrap_or_default();
        numbers.extend(progress.iter().map(|e| e.stamp.event));
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=array.events).collect::<Vec<_>>(), "{}: numbers of events", array.id);
    }

    fn check_task(&self, task: &Task) {
        let id = task.id;
        // G4: attempts count up from 1.
        for (attempt, want) in task.attempts().zip(1..) {
            assert_eq!(attempt.no.0, want, "{id}: numbers of attempts");
        }
        // P4.3: what is run again has the place that it had.
        if let Some(of) = task.retry_of.filter(|_| id.index().is_none()) {
            let before = self.scheduler.disk.reader().task(of).ok().flatten();
            assert_eq!(before.map(|before| before.ready_seq), Some(task.ready_seq), "{id}: its place");
        }
        // The story has no gaps but for progress, of which there is none here.
        let numbers: Vec<u64> = task.events().iter().map(|e| e.stamp.event).collect();
        assert_eq!(numbers, (1..=task.events).collect::<Vec<_>>(), "{id}: numbers of events");
        if let Some(seen) = self.checks.ends.get(&id) {
            assert_eq!(*seen, task.state.word(), "{id}: the end that was published");
        }
        // G8: what was cancelled with acknowledgement never completes, nor does a member of what was.
        let State::Final(end) = &task.state else { return };
        let of_array = id.array().and_then(|array| self.client.cancelled.get(&array));
        if self.client.cancelled.contains_key(&id) || of_array.is_some_and(|ended| !ended.contains(&id)) {
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
