//! What must hold after the calm: everything has converged.

use crate::world::World;
use domain::{Final, State, StateWord, Task, TaskId};
use store::Store as _;

impl World {
    /// After the calm.
    pub(crate) fn check_end(&mut self) {
        assert!(self.client.is_done(), "a client is still waiting");
        let reader = self.disk.store.reader();
        let all: Vec<TaskId> = crate::lines::all(reader.as_ref()).into_iter().map(|task| task.id).collect();
        for id in &self.client.accepted {
            assert!(all.contains(id), "{id} was acknowledged and is gone");
        }
        for id in all {
            let Ok(Some(task)) = reader.task(id) else { panic!("{id} is listed and gone") };
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
            let left: Vec<_> = worker.keeper.running().collect();
            assert!(left.is_empty(), "processes left: {left:?}");
        }
        let numbers: Vec<u64> = self.house.processes.keys().copied().collect();
        for number in numbers {
            let stats = self.house.processes[&number].driver.engine().stats();
            self.account(stats);
        }
    }

    /// P5: an array's state and numbers follow from its members'.
    fn check_array(&self, array: &Task) {
        let reader = self.disk.store.reader();
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
        self.checks.row(task);
        // P4.3: what is run again has the place that it had.
        if let Some(of) = task.retry_of.filter(|_| id.index().is_none()) {
            let before = self.disk.store.reader().task(of).ok().flatten();
            assert_eq!(before.map(|before| before.ready_seq), Some(task.ready_seq), "{id}: its place");
        }
        // The story has no gaps but for progress, of which there is none here.
        let numbers: Vec<u64> = task.events().iter().map(|e| e.stamp.event).collect();
        assert_eq!(numbers, (1..=task.events).collect::<Vec<_>>(), "{id}: numbers of events");
        // G8: what was cancelled with acknowledgement never completes, nor does a member of what was.
        let State::Final(end) = &task.state else { return };
        let of_array = id.array().and_then(|array| self.client.cancelled.get(&array));
        if self.client.cancelled.contains_key(&id) || of_array.is_some_and(|c| !c.ended.contains(&id)) {
            assert!(matches!(end, Final::Cancelled { .. }), "{id} was cancelled and is {end:?}");
        }
        if *end == Final::Completed {
            self.check_completed(task);
        }
    }
}
