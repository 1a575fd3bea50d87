//! Lines: who stands where in which class, by what was published. Whoever is sent to a worker must have been the first.

use crate::world::World;
use domain::{ClassKey, Event, EventKind, Need, PageRequest, State, Task, TaskFilter, TaskId, Wait, limits};
use std::collections::{BTreeMap, BTreeSet};
use store::{Reader, Store as _};

/// Commits between two looks at the books.
const EVERY: u64 = 16;
/// Tasks in memory, at most: what runs, what isn't committed, and some windows of three.
const RESIDENTS: usize = 400;

/// Tasks that are known to be queued. A back-off's or delay's end isn't published: those tasks are in no line until they
/// are sent, which makes the check weaker, never wrong.
#[derive(Default)]
pub(crate) struct Lines {
    classes: BTreeMap<ClassKey, BTreeSet<(u64, TaskId)>>,
}

impl Lines {
    fn join(&mut self, task: &Task) {
        self.classes.entry(ClassKey::of(&task.spec)).or_default().insert((task.ready_seq, task.id));
    }

    fn leave(&mut self, id: TaskId) {
        for line in self.classes.values_mut() {
            line.retain(|(_, other)| *other != id && other.array() != Some(id));
        }
    }

    /// P4.1: order within a class is `ready_seq`.
    fn sent(&mut self, task: &Task) {
        if let Some((place, first)) = self.classes.get(&ClassKey::of(&task.spec)).and_then(|line| line.first()) {
            assert!(task.ready_seq <= *place, "{} is sent before {first}", task.id);
        }
        self.leave(task.id);
    }
}

/// The members of an array, or the task itself.
pub(crate) fn members(task: &Task) -> Vec<TaskId> {
    match &task.spec.array {
        Some(array) if task.array.is_some() => {
            (0..array.ranges.len()).filter_map(|rank| array.ranges.index(rank)).map(|i| task.id.member(i)).collect()
        }
        Some(_) | None => vec![task.id],
    }
}

/// Every task on the disk but for members.
pub(crate) fn all(reader: &dyn Reader) -> Vec<Task> {
    let request = PageRequest { filter: TaskFilter::default(), after: None, limit: limits::PAGE_TASKS };
    let page = reader.list(&request).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(page.next.is_none(), "more tasks than a page");
    page.items
}

impl World {
    /// A new reign: what was published last may not be what was committed last.
    pub(crate) fn recall_lines(&mut self) {
        let reader = self.disk.store.reader();
        self.checks.lines = Lines::default();
        for whole in all(reader.as_ref()) {
            for id in members(&whole) {
                let Ok(Some(task)) = reader.task(id) else { panic!("{id} is gone") };
                if task.state == State::Pending(Wait::Queued) {
                    self.checks.lines.join(&task);
                }
            }
        }
    }

    pub(crate) fn published(&mut self, number: u64, event: &Event) {
        let reader = self.disk.store.reader();
        let Ok(Some(task)) = reader.task(event.task) else { panic!("{} is published and gone", event.task) };
        self.check_published(number, event, &task);
        // What a deposed reign publishes late is history to the present one.
        if !self.house.reigns(number, self.disk.epoch) {
            return;
        }
        let lines = &mut self.checks.lines;
        match &event.kind {
            EventKind::Accepted if task.spec.run_at.is_some_and(|at| at > task.accepted.at) => {}
            EventKind::Accepted => {
                for id in members(&task) {
                    if let Ok(Some(member)) = reader.task(id) {
                        lines.join(&member);
                    }
                }
            }
            EventKind::Dispatched(_) => lines.sent(&task),
            EventKind::AttemptEnded(_, None) => lines.join(&task),
            EventKind::AttemptEnded(_, Some(_)) | EventKind::Finished(..) => lines.leave(task.id),
            EventKind::CancelRequested => lines.leave(task.id),
            EventKind::Begun | EventKind::Started(_) | EventKind::Progressed(_) => {}
        }
    }

    /// The numbers tell the truth, and nothing has fallen behind a cursor. Looked at after every few commits: it costs more
    /// than the commit, and what has gone wrong stays wrong.
    pub(crate) fn check_books(&mut self, number: u64) {
        self.checks.commits += 1;
        if !self.checks.commits.is_multiple_of(EVERY) {
            return;
        }
        let disk = &self.disk.store;
        // Only who reigns knows how the store stands.
        let Some(process) = self.house.processes.get(&number).filter(|_| self.house.reigns(number, self.disk.epoch))
        else {
            return;
        };
        let (engine, reader) = (process.driver.engine(), disk.reader());
        let told = reader.counts().unwrap_or_default();
        assert_eq!(told, disk.recount(), "the store's numbers of tasks");
        assert_eq!(disk.class_counts(), disk.recount_classes(), "the store's numbers of tasks, by class");
        assert_eq!(*process.driver.counts(), told, "the driver's numbers of tasks");
        let snapshot = engine.snapshot();
        let mut tasks = 0;
        for whole in all(reader.as_ref()) {
            tasks += members(&whole).len() as u64;
            let ids = members(&whole).into_iter().chain([whole.id]).collect::<BTreeSet<_>>();
            let needs: Vec<Need> = ids.into_iter().map(Need::Task).collect();
            let facts = disk.clone().facts(&needs).unwrap_or_default();
            let rows = facts.into_iter().filter_map(|fact| fact.found).filter(|found| found.row);
            for task in rows.map(|found| found.task) {
                self.checks.row(&task);
                // An array that was cancelled takes its waiting members along, without a word on each; the commit may be on its way.
                let array = task.id.array().and_then(|array| engine.task(array)?.array.as_ref());
                let held = engine.task(task.id).is_some() || array.is_some_and(|books| books.closed.is_some());
                assert!(held || !engine.covers(&task), "{} has fallen behind a cursor: {:?}", task.id, task.state);
                let pending = task.state.word().is_pending();
                let reason = engine::waiting(&task, &snapshot, || 0);
                assert!(!pending || reason.is_some(), "{} waits for no reason", task.id);
            }
        }
        assert_eq!(told.total(), tasks, "accepted is what waits, runs or has ended");
        assert_eq!(engine.strays(), [], "what stands in a window is in memory");
        assert!(engine.residents() < RESIDENTS, "what is in memory is bounded");
        self.report.peak = self.report.peak.max(engine.residents() as u64);
        let gone = self.client.accepted.iter().find(|id| !reader.task(**id).is_ok_and(|found| found.is_some()));
        assert_eq!(gone, None, "was acknowledged and is gone");
    }
}
