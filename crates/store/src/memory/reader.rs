//! Reads of the store in memory.

use super::MemoryStore;
use crate::{Failure, Reader, spelling};
use domain::{Cursor, Event, Frame, Page, PageRequest, Run, StateWord, Task, TaskFilter, TaskId, limits};
use std::sync::Arc;

impl Reader for MemoryStore {
    fn task(&self, id: TaskId) -> Result<Option<Task>, Failure> {
        Ok(self.disk().task(id).map(|task| Task::clone(task)))
    }

    fn named(&self, text: &str, limit: usize) -> Result<Vec<TaskId>, Failure> {
        let disk = self.disk();
        let newest = || disk.tasks.values().rev().map(|task| task.id);
        if text == "last" {
            return Ok(newest().take(1).collect());
        }
        let Some(part) = spelling::abbreviation(text) else { return Ok(Vec::new()) };
        let keys = spelling::keys_of_prefix(&part);
        let begin = disk.tasks.range(keys).rev().map(|(_, task)| task.id).filter(|id| spelling::begins(*id, &part));
        let mut found: Vec<TaskId> = begin.take(limit).collect();
        let scanned = newest().take(spelling::SUFFIX_SCAN);
        for id in scanned.filter(|id| spelling::ends(*id, &part)).take(limit) {
            if found.len() < limit && !found.contains(&id) {
                found.push(id);
            }
        }
        Ok(found)
    }

    fn list(&self, request: &PageRequest) -> Result<Page<Task>, Failure> {
        let PageRequest { filter, after, limit } = request;
        let limit = (*limit).clamp(1, limits::PAGE_TASKS);
        let disk = self.disk();
        let older = disk.tasks.range(..after.map_or(i64::MAX, |cursor| cursor.0)).rev();
        let mut items: Vec<Task> =
            older.filter(|(_, task)| shows(filter, task)).take(limit + 1).map(|(_, task)| brief(task)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|task| Cursor(task.id.row_key()));
        Ok(Page { items, next })
    }

    fn progress(&self, task: TaskId, after: u64) -> Result<Vec<Event>, Failure> {
        let row = task.row_key();
        let disk = self.disk();
        let later = disk.progress.range((row, 0)..=(row, u64::MAX)).filter(|((_, event), _)| *event > after);
        Ok(later.map(|(_, event)| event.clone()).collect())
    }

    fn tails(&self, task: TaskId) -> Result<Vec<(u64, Frame)>, Failure> {
        let row = task.row_key();
        Ok(self.disk().tails.range((row, 0, 0)..=(row, u32::MAX, u64::MAX)).map(|(_, tail)| tail.clone()).collect())
    }

    fn ahead(&self, task: &Task, limit: u64) -> Result<u64, Failure> {
        let disk = self.disk();
        let before = disk.tasks.values().filter(|other| {
            other.state.word() == StateWord::Queued
                && other.spec.queue == task.spec.queue
                && other.spec.priority == task.spec.priority
                && other.ready_seq < task.ready_seq
        });
        Ok((before.count() as u64).min(limit))
    }

    fn counts(&self) -> Result<Vec<(StateWord, u64)>, Failure> {
        let disk = self.disk();
        Ok(StateWord::ALL.into_iter().map(|word| (word, disk.count(word))).collect())
    }
}

fn shows(filter: &TaskFilter, task: &Task) -> bool {
    let TaskFilter { states, worker, name, queue } = filter;
    (states.is_empty() || states.contains(&task.state.word()))
        && worker.as_ref().is_none_or(|worker| task.worker() == Some(worker))
        && name.as_ref().is_none_or(|name| task.spec.name == *name)
        && queue.as_ref().is_none_or(|queue| task.spec.queue == *queue)
}

/// Without payload, stdin and result.
fn brief(task: &Task) -> Task {
    let mut brief = task.clone();
    brief.result.clear();
    match &mut Arc::make_mut(&mut brief.spec).run {
        Run::Shell(shell) => shell.stdin.clear(),
        Run::Handler(handler) => handler.payload.clear(),
    }
    brief
}
