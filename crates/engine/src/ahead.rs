//! Read ahead: what the windows want, and what comes of it (PROTOCOL P4.2).

use crate::{ClassId, Engine, classes::Class, members::MembersAhead, placement::missing, window::Reach};
use domain::{Ahead, ClassKey, Found, Now, Place, Spec, WaitPlace, Want};
use std::sync::Arc;

/// Classes of the store that are looked at in one go.
const CLASSES: usize = 1_000;

/// Whether all classes that have tasks and that a connected worker can run are in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// They are.
    Done,
    /// They are being looked for.
    Reading,
    /// And must be looked for again: another worker came meanwhile.
    Again,
}

impl Engine {
    /// Takes an answer to one of [`Engine::wants`]. Answers must come in the order of the writer's work.
    pub fn ahead(&mut self, now: Now, ahead: Ahead) {
        match ahead {
            Ahead::Classes { classes, next } => self.classes_read(classes, next),
            Ahead::Backlog { class, after, found, more } => self.backlog_read(now, &class, after, found, more),
            Ahead::Waiting { after, found, more } => self.waits_read(now, after, found, more),
            Ahead::Members { array, from, to, early, entries } => {
                let early = early.into_iter().collect();
                self.members_read(now, array, MembersAhead { from, to, early, entries });
            }
        }
    }

    /// The class of a spec, which comes into memory if need be.
    pub(crate) fn intern(&mut self, spec: &Spec) -> ClassId {
        match self.classes.find(spec) {
            Ok(id) => id,
            Err(key) => self.add_class(key),
        }
    }

    fn add_class(&mut self, key: Arc<ClassKey>) -> ClassId {
        let wanted = self.can_run(&key);
        // Were there any in the store, the scan would have found it: it was made when the worker came.
        let empty = wanted && self.scan == Scan::Done;
        let id = self.classes.add(key, wanted, empty);
        self.want_class(id);
        id
    }

    /// Whether a connected worker can run tasks of this class.
    pub(crate) fn can_run(&self, key: &ClassKey) -> bool {
        let mut connected = self.workers.iter().filter(|w| w.session.is_some());
        connected.any(|w| missing(&key.requirement, &w.capability(), &self.offered).is_none())
    }

    /// A worker came: its classes are looked for in memory and in the store.
    pub(crate) fn scan(&mut self) {
        for id in self.classes.ids() {
            let unwanted = |class: &&Class| !class.wanted;
            let Some(key) = self.classes.get(id).filter(unwanted).map(|class| Arc::clone(&class.key)) else { continue };
            if self.can_run(&key) {
                self.classes.want(id, true);
                self.want_class(id);
            }
        }
        match self.scan {
            Scan::Done => {
                self.scan = Scan::Reading;
                self.wants.push(Want::Classes { after: 0, limit: CLASSES });
            }
            Scan::Reading | Scan::Again => self.scan = Scan::Again,
        }
    }

    fn classes_read(&mut self, classes: Vec<Arc<ClassKey>>, next: Option<u64>) {
        for key in classes {
            match self.classes.by_key(&key) {
                None if self.can_run(&key) => drop(self.add_class(key)),
                None | Some(_) => {}
            }
        }
        match (next, self.scan) {
            (Some(after), _) => self.wants.push(Want::Classes { after, limit: CLASSES }),
            (None, Scan::Again) => {
                self.scan = Scan::Reading;
                self.wants.push(Want::Classes { after: 0, limit: CLASSES });
            }
            (None, Scan::Reading | Scan::Done) => self.scan = Scan::Done,
        }
    }

    /// Workers have gone: classes that nobody can run any more leave memory.
    pub(crate) fn unwant_classes(&mut self) {
        for id in self.classes.ids() {
            let wanted = |class: &&Class| class.wanted;
            let Some(key) = self.classes.get(id).filter(wanted).map(|class| Arc::clone(&class.key)) else { continue };
            if !self.can_run(&key) {
                let out = self.classes.want(id, false);
                self.release_all(out.into_iter().map(|place| place.id));
            }
        }
    }

    /// Asks for more of a class if its window runs low.
    pub(crate) fn want_class(&mut self, class: ClassId) {
        self.wants.extend(self.classes.look_ahead(class));
    }

    /// Asks for more of what waits for time if the window runs low.
    pub(crate) fn want_waits(&mut self) {
        if let Some((after, limit)) = self.waits.want(self.config.window) {
            self.wants.push(Want::Waiting { after, limit });
        }
    }

    fn backlog_read(&mut self, now: Now, key: &ClassKey, after: Option<Place>, found: Vec<Found>, more: bool) {
        let Some(class) = self.classes.by_key(key) else { return };
        if self.classes.answered(class, after) {
            let last = found.last().map(|found| found.task.place());
            let reach = if more { Reach::UpTo(last) } else { Reach::All };
            // First the reach, so that what comes in is inside; then all that was in memory and passed.
            self.classes.widen(class, reach);
            self.page_in_all(now, found);
        }
        self.want_class(class);
        self.assign_class(now, class);
    }

    fn waits_read(&mut self, now: Now, after: Option<WaitPlace>, found: Vec<Found>, more: bool) {
        if self.waits.answered(after) {
            let place = |found: &Found| found.task.due().map(|due| WaitPlace { due_ms: due.at.0, id: found.task.id });
            let reach = if more { Reach::UpTo(found.last().and_then(place)) } else { Reach::All };
            for place in self.waits.widen(reach) {
                self.arm(now, place);
            }
            self.page_in_all(now, found);
        }
        self.want_waits();
    }

    fn page_in_all(&mut self, now: Now, found: Vec<Found>) {
        let ids: Vec<_> = found.iter().map(|found| found.task.id).collect();
        for found in found {
            self.page_in(now, found);
        }
        // The window may have become full meanwhile.
        self.release_all(ids.into_iter());
    }
}
