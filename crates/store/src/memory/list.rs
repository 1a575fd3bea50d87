//! Pages, by walking over everything.

use super::{Disk, Row};
use domain::{Cursor, Page, PageRequest, Run, Task, TaskFilter, TaskId, limits};
use std::sync::Arc;

impl Disk {
    pub(super) fn list(&self, request: &PageRequest) -> Page<Task> {
        let PageRequest { filter, after, limit } = request;
        let limit = (*limit).clamp(1, limits::PAGE_TASKS);
        let below = after.map_or(i64::MAX, |cursor| cursor.0);
        match filter.array {
            Some(array) => page(self.members_below(array, below).filter(|(_, task)| shows(filter, task)), limit),
            None => {
                let older =
                    self.tasks.range(..below).rev().map(|(key, Row { task, class: _ })| (*key, Task::clone(task)));
                page(older.filter(|(_, task)| shows(filter, task)), limit)
            }
        }
    }

    /// All members of an array, those without rows too, highest index first.
    fn members_below(&self, array: TaskId, below: i64) -> impl Iterator<Item = (i64, Task)> + '_ {
        let row = self.tasks.get(&array.row_key()).filter(|row| row.task.id == array);
        let ranges = row.and_then(|row| row.task.spec.array.as_ref()).map(|spec| &spec.ranges);
        let indexes =
            ranges.into_iter().flat_map(|ranges| (0..ranges.len()).rev().filter_map(|rank| ranges.index(rank)));
        let found = indexes.filter_map(move |index| Some((i64::from(index), self.find(array.member(index))?.task)));
        found.filter(move |(index, _)| *index < below)
    }
}

fn page(matching: impl Iterator<Item = (i64, Task)>, limit: usize) -> Page<Task> {
    let mut items: Vec<(i64, Task)> = matching.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(key, _)| Cursor(*key));
    Page { items: items.into_iter().map(|(_, task)| brief(task)).collect(), next }
}

fn shows(filter: &TaskFilter, task: &Task) -> bool {
    let TaskFilter { states, worker, waiting, name, queue, array } = filter;
    let called = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
    (states.is_empty() || states.contains(&task.state.word()))
        && worker.as_ref().is_none_or(|worker| task.assigned() == Some(worker) && (*waiting || !task.is_untouched()))
        && (array.is_some() || called(name, &task.spec.name) && called(queue, &task.spec.queue))
}

/// Without payload, stdin and result.
fn brief(mut task: Task) -> Task {
    task.result.clear();
    match &mut Arc::make_mut(&mut task.spec).run {
        Run::Shell(shell) => shell.stdin.clear(),
        Run::Docker(_) => {}
        Run::Handler(handler) => handler.payload.clear(),
    }
    task
}
