//! Reads of the store in memory.

use super::{Disk, MemoryStore};
use crate::{Failure, Queue, Reader, spelling, spelling::Spelling, waiting};
use domain::{ClassKey, Counts, Event, Frame, Page, PageRequest, Place, StateWord, Task, TaskId, Token};
use std::{collections::BTreeMap, sync::Arc};

impl Reader for MemoryStore {
    fn task(&self, id: TaskId) -> Result<Option<Task>, Failure> {
        Ok(self.disk().find(id).map(|found| found.task))
    }

    fn named(&self, text: &str, limit: usize) -> Result<Vec<TaskId>, Failure> {
        Ok(self.disk().named(text, limit))
    }

    fn list(&self, request: &PageRequest) -> Result<Page<Task>, Failure> {
        Ok(self.disk().list(request))
    }

    fn progress(&self, task: TaskId, after: u64) -> Result<Vec<Event>, Failure> {
        let disk = self.disk();
        let later = disk.progress.range((task, 0)..=(task, u64::MAX)).filter(|((_, event), _)| *event > after);
        Ok(later.map(|(_, event)| event.clone()).collect())
    }

    fn tails(&self, task: TaskId) -> Result<Vec<(u64, Frame)>, Failure> {
        Ok(self.disk().tails.range((task, 0, 0)..=(task, u32::MAX, u64::MAX)).map(|(_, tail)| tail.clone()).collect())
    }

    fn behind(&self, task: &Task, limit: u64) -> Result<u64, Failure> {
        Ok(self.disk().behind(task).min(limit))
    }

    fn counts(&self) -> Result<Counts, Failure> {
        Ok(self.disk().classes.total())
    }

    fn queues(&self) -> Result<Vec<Queue>, Failure> {
        let disk = self.disk();
        let mut queues: BTreeMap<&str, Counts> = BTreeMap::new();
        for (key, counts) in disk.classes.by_number.values().filter(|(_, counts)| counts.total() > 0) {
            let queue = queues.entry(&key.queue).or_default();
            counts.iter().for_each(|(word, n)| queue.add(word, n));
        }
        for queue in &disk.paused {
            queues.entry(queue).or_default();
        }
        let queue =
            |(name, counts): (&str, _)| Queue { name: name.to_owned(), counts, paused: disk.paused.contains(name) };
        Ok(queues.into_iter().map(queue).collect())
    }

    fn failed_members(&self, array: TaskId) -> Result<Vec<u32>, Failure> {
        let disk = self.disk();
        if disk.find(array).is_none_or(|found| found.task.array.is_none()) {
            return Ok(Vec::new());
        }
        let rows = disk.members.range((array.row_key(), 0)..=(array.row_key(), u32::MAX));
        let failed = rows.filter(|(_, row)| match row.task.state.word() {
            StateWord::Failed | StateWord::TimedOut => true,
            StateWord::Queued | StateWord::Delayed | StateWord::BackingOff => false,
            StateWord::Dispatched | StateWord::Running | StateWord::Cancelling => false,
            StateWord::Completed | StateWord::Cancelled => false,
        });
        Ok(failed.map(|((_, index), _)| *index).collect())
    }

    fn tokens(&self) -> Result<Vec<Token>, Failure> {
        let mut tokens: Vec<Token> = self.disk().tokens.values().cloned().collect();
        tokens.sort_by_key(|token| (token.created, token.id));
        Ok(tokens)
    }

    fn entries(&self, array: TaskId, ranks: &[u64]) -> Result<Vec<Arc<str>>, Failure> {
        let disk = self.disk();
        let Some(found) = disk.find(array).filter(|found| found.task.array.is_some()) else { return Ok(Vec::new()) };
        Ok(ranks.iter().filter_map(|rank| disk.entry(&found.task, *rank)).collect())
    }
}

impl Disk {
    fn named(&self, text: &str, limit: usize) -> Vec<TaskId> {
        let Some(Spelling { task, index }) = Spelling::parse(text) else { return Vec::new() };
        let newest = || self.tasks.values().rev().map(|row| &row.task);
        let with_index = |task: &Arc<Task>| match index {
            None => Some(task.id),
            Some(index) => task.rank(task.id.member(index)).map(|_| task.id.member(index)),
        };
        if task == "last" {
            return newest().take(1).filter_map(with_index).take(limit).collect();
        }
        let Some(part) = spelling::abbreviation(task) else { return Vec::new() };
        let begins = newest().filter(|task| spelling::begins(task.id, &part));
        let mut found: Vec<TaskId> = begins.filter_map(with_index).take(limit).collect();
        let ends = newest().take(spelling::SUFFIX_SCAN).filter(|task| spelling::ends(task.id, &part));
        for id in ends.filter_map(with_index).take(limit) {
            if found.len() < limit && !found.contains(&id) {
                found.push(id);
            }
        }
        found
    }

    /// Every single member is looked at: what the embedded store reckons, this one counts.
    fn behind(&self, task: &Task) -> u64 {
        let Some(class) = self.classes.number(&ClassKey::of(&task.spec)) else { return 0 };
        let mut n = 0;
        let rows = self.tasks.values().chain(self.members.values()).filter(|row| row.class == class);
        for row in rows {
            let Some(ready_seq) = waiting::ready(&row.task) else { continue };
            let Some(spec) = row.task.spec.array.as_ref().filter(|_| row.task.array.is_some()) else {
                n += u64::from(Place { ready_seq, id: row.task.id } < task.place());
                continue;
            };
            let next = row.task.array.as_ref().map_or(0, |books| books.next);
            let turns = (next..spec.ranges.len()).filter_map(|rank| Some((rank, spec.ranges.index(rank)?)));
            let early = |index| self.members.contains_key(&(row.task.id.row_key(), index));
            let before = |(rank, index)| {
                Place { ready_seq: ready_seq + (rank - next), id: row.task.id.member(index) } < task.place()
            };
            n += turns.filter(|(_, index)| !early(*index)).filter(|turn| before(*turn)).count() as u64;
        }
        n
    }
}
