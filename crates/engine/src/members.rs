//! Members: an array's next member gets a row when its turn comes (PROTOCOL P5).
//!
//! Most arrays need nothing from the store for that. Those with entries, and those of which members were cancelled before
//! their turn, read ahead: until the answer comes their class gives nothing, because its order must be kept.

use crate::{Engine, array_machine::ArrayTrigger};
use domain::{EventKind, Now, Place, State, Tail, TaskId, Want};
use std::{collections::BTreeSet, sync::Arc};

/// What was read of an array's members: it holds for ranks from `from` to below `to`.
#[derive(Debug)]
pub(crate) struct MembersAhead {
    pub from: u64,
    pub to: u64,
    /// Those that have rows.
    pub early: BTreeSet<u64>,
    /// Entries from `from` on; empty if the array has none.
    pub entries: Vec<Arc<str>>,
}

/// What an array's next rank is.
enum Turn {
    /// Nothing is known of it yet.
    Unknown,
    /// It has had its end already.
    Over,
    /// A member without a row, with its entry.
    Fresh(Option<Arc<str>>),
}

impl Engine {
    /// Makes a task of the member whose turn it is, and moves the array on. `None`: it must be read first, or its turn is
    /// over already; then the array has another place, and another task may come first.
    pub(crate) fn next_member(&mut self, now: Now, array: TaskId) -> Option<TaskId> {
        let resident = self.tasks.get(&array)?;
        let class = resident.class;
        let rank = resident.task.array.as_ref()?.next;
        let index = resident.task.spec.array.as_ref()?.ranges.index(rank)?;
        match self.turn(array, rank)? {
            Turn::Unknown => {
                self.classes.stall(class, true);
                self.want_members(array);
                None
            }
            Turn::Over => {
                self.advance(array, true);
                None
            }
            Turn::Fresh(entry) => {
                let member = self.tasks.get(&array)?.task.member(index, entry)?;
                let id = member.id;
                self.begin(now, array);
                self.advance(array, false);
                self.enter(Arc::new(member), class, false);
                Some(id)
            }
        }
    }

    fn turn(&self, array: TaskId, rank: u64) -> Option<Turn> {
        let resident = self.tasks.get(&array)?;
        let entries = resident.task.spec.array.as_ref()?.entries;
        if !entries && resident.task.array.as_ref()?.early == 0 {
            return Some(Turn::Fresh(None));
        }
        let Some(ahead) = resident.ahead.as_ref().filter(|ahead| (ahead.from..ahead.to).contains(&rank)) else {
            return Some(Turn::Unknown);
        };
        if ahead.early.contains(&rank) {
            return Some(Turn::Over);
        }
        let entry = usize::try_from(rank - ahead.from).ok().and_then(|at| ahead.entries.get(at)).cloned();
        Some(Turn::Fresh(entry))
    }

    /// The array's turn goes to the next rank, and its place with it.
    fn advance(&mut self, array: TaskId, early: bool) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let (class, place) = (resident.class, resident.task.place());
        let task = resident.edit();
        task.ready_seq += 1;
        if let Some(books) = &mut task.array {
            books.next += 1;
            // A deposed reign may read what its successor wrote. Its commits fail; until then it must not.
            books.early = books.early.saturating_sub(u64::from(early));
        }
        let next = task.has_rest().then(|| task.place());
        self.touch(array);
        self.classes.remove(class, place);
        if let Some(next) = next {
            let out = self.classes.push(class, next);
            self.release_all(out.into_iter().map(|place: Place| place.id));
        }
        self.want_class(class);
    }

    /// The array's first member is given to a worker.
    fn begin(&mut self, now: Now, array: TaskId) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        if !matches!(resident.task.state, State::Pending(_)) {
            return;
        }
        let task = resident.edit();
        let stamp = task.stamp(now.wall);
        if let Some(books) = &mut task.array {
            books.begun = Some(stamp);
        }
        self.shift_array(array, ArrayTrigger::Begin, State::Begun { cancelling: false });
        self.publish(array, stamp, 0, EventKind::Begun, Tail::default());
    }

    fn want_members(&mut self, array: TaskId) {
        let Some(from) = self.tasks.get(&array).and_then(|r| r.task.array.as_ref()).map(|books| books.next) else {
            return;
        };
        self.wants.push(Want::Members { array, from, limit: self.config.window });
    }

    /// A member that had no row gets one before its turn: it is being cancelled.
    pub(crate) fn take_early(&mut self, member: TaskId) {
        let Some(array) = member.array() else { return };
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let Some(rank) = resident.task.rank(member) else { return };
        let (class, place) = (resident.class, resident.task.place());
        let Some(books) = &mut resident.edit().array else { return };
        if rank < books.next {
            return;
        }
        books.early += 1;
        if let Some(ahead) = &mut resident.ahead {
            ahead.early.insert(rank);
        }
        let rest = resident.task.has_rest();
        if !rest {
            self.classes.remove(class, place);
        }
        self.touch(array);
    }

    /// What was asked about an array's members is known.
    pub(crate) fn members_read(&mut self, now: Now, array: TaskId, read: MembersAhead) {
        let Some(resident) = self.tasks.get_mut(&array) else { return };
        let class = resident.class;
        let mut read = read;
        // Members that got a row since are in memory, or were when the answer was on its way.
        if let Some(old) = resident.ahead.take() {
            read.early.extend(old.early.range(read.from.max(old.from)..));
        }
        let spec = Arc::clone(&resident.task.spec);
        let rows: Vec<u64> = self
            .members
            .range(array.member(0)..=array.member(domain::limits::ARRAY_INDEX))
            .filter_map(|id| spec.array.as_ref()?.ranges.rank(id.index()?))
            .filter(|rank| *rank >= read.from)
            .collect();
        read.early.extend(rows);
        if let Some(resident) = self.tasks.get_mut(&array) {
            resident.ahead = Some(Box::new(read));
        }
        self.classes.stall(class, false);
        self.assign_class(now, class);
    }
}
