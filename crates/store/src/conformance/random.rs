//! Random histories: the embedded store must answer every question as the store in memory does, and that one as the
//! scribe noted it.

use super::lists::pages;
use super::samples::{alike, array, attempt, due, id, in_state, queued, with_spec};
use super::{scribe::Scribe, stores};
use crate::Store;
use crate::memory::MemoryStore;
use domain::*;
use std::sync::Arc;

const HISTORIES: u64 = 4;
const STEPS: u64 = 60;
/// After so many steps all questions are asked.
const COMPARED: u64 = 20;

/// A small generator: a seed is a history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn state(&mut self) -> State {
        let n = self.roll(3) as u32 + 1;
        match self.roll(9) {
            0 => State::Pending(Wait::Queued),
            1 => State::Pending(Wait::BackingOff(due(self.roll(4) as i64))),
            2 => State::Dispatched(attempt(n, None)),
            3 => State::Running(attempt(n, None)),
            4 => State::Cancelling(attempt(n, None)),
            5 => State::Final(Final::Failed("exit code 1".into())),
            6 => State::Final(Final::TimedOut("timed out".into())),
            7 => State::Final(Final::Cancelled { unconfirmed: None }),
            _ => State::Final(Final::Completed),
        }
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.roll(of.len().max(1) as u64) as usize;
        of.get(at)
    }
}

struct History {
    dice: Dice,
    scribe: Scribe,
    next_place: u64,
    stores: Vec<(&'static str, Box<dyn Store>, Option<tempfile::TempDir>)>,
    truth: MemoryStore,
    epoch: Epoch,
}

impl History {
    fn new(seed: u64) -> Self {
        let (mut stores, truth) = (stores(), MemoryStore::new());
        stores.insert(0, ("truth", Box::new(truth.clone()), None));
        stores.retain(|(name, _, _)| *name != "memory");
        let epochs = stores.iter_mut().map(|(_, store, _)| store.begin().unwrap().epoch);
        let epoch = epochs.last().unwrap();
        Self { dice: Dice(seed), scribe: Scribe::default(), next_place: 1, stores, truth, epoch }
    }

    fn submit(&mut self, n: u64) {
        let mut task =
            if self.dice.roll(3) == 0 { array(n, ["0-9", "3,5,7-8,100", "1"][n as usize % 3]) } else { queued(n) };
        if self.dice.roll(2) == 0 {
            task = with_spec(alike(task), |spec| spec.queue = "other".into());
        }
        if self.dice.roll(5) == 0 {
            task.state = State::Pending(Wait::Delayed(due(self.dice.roll(4) as i64)));
            if let Some(books) = &mut task.array {
                *books = Members::new(books.counts.total(), StateWord::Delayed);
            }
        }
        if task.array.is_none() && self.dice.roll(4) == 0 {
            let within = std::time::Duration::from_millis(self.dice.roll(4));
            task = with_spec(alike(task), |spec| spec.start_within = Some(within));
        }
        // Some keep the place of an earlier one, as retries do.
        let kept = self.dice.roll(4) == 0;
        task.ready_seq = if kept { 1 + self.dice.roll(self.next_place) } else { self.next_place };
        self.next_place = self.next_place.max(task.ready_seq + task.members());
        if task.array.is_some() && self.dice.roll(2) == 0 {
            task = with_spec(task, |spec| spec.array.as_mut().unwrap().entries = true);
            let entries: Vec<Arc<str>> = (0..task.members()).map(|rank| format!("{n} {rank}").into()).collect();
            self.scribe.insert_with_entries(&task, &entries);
        } else {
            self.scribe.insert(&task);
        }
    }

    /// A task or a member that isn't final changes its state.
    fn change(&mut self) {
        let open = |task: &&Task| !task.state.is_final() && task.array.is_none();
        let open: Vec<Task> = self.scribe.rows.values().filter(open).cloned().collect();
        if let Some(task) = self.dice.one(&open).cloned() {
            let state = self.dice.state();
            self.scribe.update(&in_state(task, state));
        }
    }

    fn open_array(&mut self) -> Option<Task> {
        let open = |task: &&Task| task.has_rest() && !task.state.is_final();
        let arrays: Vec<Task> = self.scribe.rows.values().filter(open).cloned().collect();
        self.dice.one(&arrays).cloned()
    }

    /// The next member of an array begins, or any other is cancelled before its turn.
    fn member(&mut self) {
        let Some(array) = self.open_array() else { return };
        let next = array.array.as_ref().map_or(0, |books| books.next);
        let rank = next + self.dice.roll(array.members() - next);
        let index = array.spec.array.as_ref().unwrap().ranges.index(rank).unwrap();
        if self.scribe.rows.contains_key(&array.id.member(index)) {
            return;
        }
        let begins = rank == next && array.state.due().is_none();
        let state = if begins { self.dice.state() } else { State::Final(Final::Cancelled { unconfirmed: None }) };
        self.scribe.member(array.id, rank, |member| in_state(member, state));
    }

    /// An array ends, cancelled if need be.
    fn end(&mut self, now: i64) {
        let Some(array) = self.open_array() else { return };
        self.scribe.close(array.id, UnixMillis(now));
        let running = |task: &Task| task.id.array() == Some(array.id) && task.state.live().is_some();
        let running: Vec<Task> = self.scribe.rows.values().filter(|task| running(task)).cloned().collect();
        if self.dice.roll(2) == 0 {
            for task in running {
                self.scribe.update(&in_state(task, State::Final(Final::Completed)));
            }
            self.scribe.end(array.id, Final::Cancelled { unconfirmed: None }, UnixMillis(now));
        }
    }

    fn step(&mut self, n: u64) {
        let now = 1_700_000_000_000 + n as i64;
        match self.dice.roll(10) {
            0..3 => self.submit(n),
            3..6 => self.change(),
            6..9 => self.member(),
            _ => self.end(now),
        }
        self.settle(now);
    }

    /// An array whose members are all final is final as well.
    fn settle(&mut self, now: i64) {
        let over = |task: &Task| {
            let open = |books: &Members| books.counts.sum(|word| !word.is_final());
            !task.state.is_final() && task.array.as_ref().is_some_and(|books| open(books) == 0)
        };
        let over: Vec<TaskId> = self.scribe.rows.values().filter(|task| over(task)).map(|task| task.id).collect();
        over.into_iter().for_each(|id| self.scribe.end(id, Final::Cancelled { unconfirmed: None }, UnixMillis(now)));
    }

    fn commit(&mut self) {
        let batch = self.scribe.batch(self.epoch);
        for (name, store, _) in &mut self.stores {
            store.commit(&batch).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    fn expire(&mut self) {
        let (before, limit) = (UnixMillis(0x019a_0000_0000), 1 + self.dice.roll(20) as usize);
        let mut after = vec![Some(0); self.stores.len()];
        while after.iter().any(Option::is_some) {
            for ((_, store, _), after) in self.stores.iter_mut().zip(&mut after) {
                if let Some(place) = *after {
                    *after = store.expire(self.epoch, &super::expire::step(before, place, limit)).unwrap().next;
                }
            }
        }
        let truth = self.truth.reader();
        let gone: Vec<TaskId> =
            self.scribe.rows.keys().filter(|id| truth.task(**id).unwrap().is_none()).copied().collect();
        gone.iter().for_each(|id| drop(self.scribe.rows.remove(id)));
    }

    /// Every question has the same answer everywhere.
    fn compare(&mut self, seed: u64) {
        assert_eq!(
            (self.truth.recount(), self.truth.recount_classes()),
            (self.scribe.counts(), self.truth.class_counts())
        );
        for (array, counts) in self.truth.recount_arrays() {
            assert_eq!(Some(counts), self.scribe.rows[&array].array.as_ref().map(|books| books.counts), "{array}");
        }
        let ids = self.ids();
        let answers: Vec<Vec<String>> =
            self.stores.iter_mut().map(|(_, store, _)| answers(store.as_mut(), &ids)).collect();
        for other in &answers[1..] {
            assert_eq!(answers[0].len(), other.len());
            for (truth, other) in answers[0].iter().zip(other) {
                assert_eq!(truth, other, "seed {seed}");
            }
        }
        for (id, task) in &self.scribe.rows {
            let read = self.truth.reader().task(*id).unwrap();
            let mut expected = task.clone();
            expected.entry = read.as_ref().and_then(|task| task.entry.clone());
            assert_eq!(read, Some(expected), "seed {seed}");
        }
    }

    /// All rows, all members without any, and some that aren't there.
    fn ids(&self) -> Vec<TaskId> {
        let mut ids: Vec<TaskId> = self.scribe.rows.keys().copied().chain([id(9_999)]).collect();
        for array in self.scribe.rows.values().filter(|task| task.array.is_some()) {
            ids.extend((0..11).chain([100]).map(|index| array.id.member(index)));
        }
        ids
    }
}

fn answers(store: &mut dyn Store, ids: &[TaskId]) -> Vec<String> {
    let mut all = vec![format!("{:?}", store.load().unwrap())];
    for id in ids {
        all.push(format!("{:?}", store.facts(&[Need::Task(*id)]).unwrap()));
        all.extend([1, 4].map(|limit| {
            let want = Want::Members { array: *id, from: limit, limit: limit as usize };
            format!("{:?}", store.ahead(&want).unwrap())
        }));
    }
    for limit in [1, 3, 1_000] {
        all.extend(windows(store, limit));
    }
    let reader = store.reader();
    all.push(format!("{:?} {:?}", reader.counts(), reader.queues()));
    for id in ids {
        all.push(format!("{:?} {:?}", reader.failed_members(*id), reader.entries(*id, &[3, 0, 7])));
        all.push(format!("{:?}", reader.named(&id.to_string(), 3)));
        if let Some(task) = reader.task(*id).unwrap() {
            all.extend([2, 1_000].map(|limit| format!("{id} behind {:?}", reader.behind(&task, limit))));
        }
    }
    for filter in filters(ids) {
        for limit in [2, 50] {
            all.push(format!("{filter:?} {:?}", pages(store, &filter, limit)));
        }
    }
    all
}

/// All windows of all classes, and of what waits.
fn windows(store: &mut dyn Store, limit: usize) -> Vec<String> {
    let (mut all, mut classes, mut after) = (Vec::new(), Vec::new(), Some(0));
    while let Some(place) = after {
        let Ahead::Classes { classes: page, next } = store.ahead(&Want::Classes { after: place, limit }).unwrap()
        else {
            panic!("classes were asked for")
        };
        classes.extend(page);
        after = next;
    }
    classes.sort();
    all.push(format!("{classes:?}"));
    for class in classes {
        let (mut after, mut more) = (None, true);
        while more {
            let answer = store.ahead(&Want::Backlog { class: Arc::clone(&class), after, limit }).unwrap();
            assert!(all.len() < 10_000, "pages come to an end");
            all.push(format!("{answer:?}"));
            let Ahead::Backlog { found, more: follow, .. } = answer else { panic!("a backlog was asked for") };
            (after, more) = (found.last().map(|last| last.task.place()).or(after), follow);
        }
    }
    let (mut after, mut more) = (None, true);
    while more {
        let answer = store.ahead(&Want::Waiting { after, limit }).unwrap();
        assert!(all.len() < 10_000, "pages come to an end");
        all.push(format!("{answer:?}"));
        let Ahead::Waiting { found, more: follow, .. } = answer else { panic!("what waits was asked for") };
        let place = |task: &Task| WaitPlace { due_ms: task.due().unwrap().at.0, id: task.id };
        (after, more) = (found.last().map(|last| place(&last.task)).or(after), follow);
    }
    all
}

fn filters(ids: &[TaskId]) -> Vec<TaskFilter> {
    let by = |states: &[StateWord]| TaskFilter { states: states.to_vec(), ..TaskFilter::default() };
    let mut filters = vec![by(&[])];
    filters.extend(StateWord::ALL.map(|word| by(&[word])));
    filters.push(by(&[StateWord::Failed, StateWord::Queued, StateWord::Running]));
    for filter in filters.clone() {
        filters.push(TaskFilter { name: Some("noop".into()), ..filter.clone() });
        filters.push(TaskFilter { queue: Some("default".into()), ..filter.clone() });
        filters.push(TaskFilter { worker: Some(WorkerId::new("w1")), ..filter.clone() });
        let arrays = ids.iter().filter(|id| id.index().is_none());
        filters.extend(arrays.map(|id| TaskFilter { array: Some(*id), ..filter.clone() }));
    }
    filters
}

#[test]
fn both_stores_answer_alike_whatever_happened() {
    for seed in 0..HISTORIES {
        let mut history = History::new(seed);
        for n in 1..=STEPS {
            history.step(n);
            if history.dice.roll(3) == 0 || n % COMPARED == 0 {
                history.commit();
            }
            if n % COMPARED == 0 {
                history.compare(seed);
                history.expire();
                history.compare(seed);
            }
        }
    }
}
