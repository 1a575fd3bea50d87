//! Keeps the books that an engine keeps: turns what happens to tasks into batches with their tallies.

use domain::*;
use std::{collections::BTreeMap, sync::Arc};

/// Everything that was written, as it should be read back.
#[derive(Default)]
pub struct Scribe {
    /// Rows: tasks, arrays, and members as far as something happened to them.
    pub rows: BTreeMap<TaskId, Task>,
    writes: Vec<Write>,
    tallies: BTreeMap<(Arc<ClassKey>, StateWord), i64>,
    ready_seq: u64,
}

impl Scribe {
    /// What has happened since the last batch.
    pub fn batch(&mut self, epoch: Epoch) -> Batch {
        let tallies = std::mem::take(&mut self.tallies).into_iter().filter(|(_, by)| *by != 0);
        let tallies = tallies.map(|((class, word), by)| Tally { class, word, by }).collect();
        Batch { epoch, writes: std::mem::take(&mut self.writes), tallies, ready_seq: self.ready_seq }
    }

    fn tally(&mut self, spec: &Spec, word: StateWord, by: i64) {
        *self.tallies.entry((Arc::new(ClassKey::of(spec)), word)).or_default() += by;
    }

    /// A write that changes no task.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// A new task or array.
    pub fn insert(&mut self, task: &Task) {
        self.tally(&task.spec, task.state.word(), task.members() as i64);
        self.put(task, true);
    }

    /// A new array with entries.
    pub fn insert_with_entries(&mut self, array: &Task, entries: &[Arc<str>]) {
        self.insert(array);
        for (n, part) in (0..).zip(entries.chunks(3)) {
            self.writes.push(Write::Entries { array: array.id, first: n * 3, entries: part.to_vec() });
        }
    }

    /// A task or a member that has a row as it stands now.
    pub fn update(&mut self, task: &Task) {
        let before = self.rows.get(&task.id).unwrap().state.word();
        self.moved(task, before);
        self.put(task, false);
    }

    fn put(&mut self, task: &Task, new: bool) {
        self.ready_seq = self.ready_seq.max(task.ready_seq + task.members() - 1);
        self.rows.insert(task.id, task.clone());
        let class = Arc::new(ClassKey::of(&task.spec));
        let task = Arc::new(task.clone());
        self.writes.push(if new { Write::Insert { task, class } } else { Write::Update(task) });
    }

    /// Counts a task's change of state; an array's own state isn't counted.
    fn moved(&mut self, task: &Task, before: StateWord) {
        if task.array.is_some() {
            return;
        }
        let now = task.state.word();
        self.tally(&task.spec, before, -1);
        self.tally(&task.spec, now, 1);
        if let Some(id) = task.id.array() {
            let mut array = self.rows.get(&id).unwrap().clone();
            let books = array.array.as_mut().unwrap();
            books.counts.change(before, -1);
            books.counts.change(now, 1);
            self.put(&array, false);
        }
    }

    /// The member of this rank gets its first row: in its turn, or before it.
    pub fn member(&mut self, array: TaskId, rank: u64, change: impl FnOnce(Task) -> Task) -> TaskId {
        let mut whole = self.rows.get(&array).unwrap().clone();
        let index = whole.spec.array.as_ref().unwrap().ranges.index(rank).unwrap();
        let computed = whole.member(index, None).unwrap();
        let before = computed.state.word();
        let member = change(computed);
        let books = whole.array.as_mut().unwrap();
        books.early += 1;
        // Members that are cancelled before their turn don't make an array begin.
        if member.state.word() != StateWord::Cancelled {
            whole.state = State::Begun { cancelling: false };
        }
        self.rows.insert(array, whole);
        self.rows.insert(member.id, member.clone());
        self.turn(array);
        self.moved(&member, before);
        self.put(&member, true);
        member.id
    }

    /// Members that have rows have had their turn once all before them had.
    fn turn(&mut self, id: TaskId) {
        let mut array = self.rows.get(&id).unwrap().clone();
        let ranges = array.spec.array.as_ref().unwrap().ranges.clone();
        let books = array.array.as_mut().unwrap();
        while ranges.index(books.next).is_some_and(|index| self.rows.contains_key(&id.member(index))) {
            (books.next, books.early, array.ready_seq) = (books.next + 1, books.early - 1, array.ready_seq + 1);
        }
        self.put(&array, false);
    }

    /// The array is cancelled, with all of its members that are pending.
    pub fn close(&mut self, id: TaskId, at: UnixMillis) {
        let mut array = self.rows.get(&id).unwrap().clone();
        let pending: Vec<StateWord> = StateWord::ALL.into_iter().filter(|word| word.is_pending()).collect();
        let books = array.array.as_mut().unwrap();
        for word in pending {
            let n = books.counts.get(word) as i64;
            books.counts.change(word, -n);
            books.counts.change(StateWord::Cancelled, n);
            self.tally(&array.spec, word, -n);
            self.tally(&array.spec, StateWord::Cancelled, n);
        }
        let books = array.array.as_mut().unwrap();
        books.closed = Some(at);
        array.state = State::Begun { cancelling: true };
        self.put(&array, false);
        self.writes.push(Write::Close { array: id, at });
        for member in self.rows.values_mut().filter(|row| row.id.array() == Some(id)) {
            member.close(Some(at));
        }
    }

    /// The array ends.
    pub fn end(&mut self, id: TaskId, end: Final, at: UnixMillis) {
        let mut array = self.rows.get(&id).unwrap().clone();
        array.state = State::Final(end);
        array.finished = Some(Stamp { event: 9, at });
        self.put(&array, false);
    }

    /// How many tasks are in each state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for task in self.rows.values().filter(|row| row.id.index().is_none()) {
            match &task.array {
                None => counts.add(task.state.word(), 1),
                Some(books) => books.counts.iter().for_each(|(word, n)| counts.add(word, n)),
            }
        }
        counts
    }
}
