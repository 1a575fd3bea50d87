//! A task: what was asked, where it stands, and what happened so far.

use crate::{
    Attempt, AttemptId, AttemptNo, Due, Ending, Event, EventKind, Exit, Final, Members, Place, Progress, Spec, Stamp,
    State,
};
use crate::{TaskId, UnixMillis, Wait, WorkerId};
use std::sync::Arc;

/// A task with its whole history but for progress events, which have rows of their own. An array and each of its members
/// are tasks as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What was asked.
    pub spec: Arc<Spec>,
    /// Its place in its class, assigned by the engine; kept by retries (PROTOCOL P4). An array's is that of its next member:
    /// it was assigned as many places as it has members.
    pub ready_seq: u64,
    /// When it was accepted; event 1.
    pub accepted: Stamp,
    /// Where it stands.
    pub state: State,
    /// Attempts that have ended, oldest first.
    pub ended: Vec<Attempt>,
    /// For each of `ended` that was followed by back-off, until when; parallel to it.
    pub backed_off: Vec<Option<UnixMillis>>,
    /// When cancel was accepted while an attempt was under way.
    pub cancel: Option<Stamp>,
    /// When it became final.
    pub finished: Option<Stamp>,
    /// The number of its last event.
    pub events: u64,
    /// The latest progress of the latest attempt.
    pub progress: Progress,
    /// Final bytes of a handler.
    pub result: Vec<u8>,
    /// When it last changed.
    pub updated: UnixMillis,
    /// The books on its members, of an array.
    pub array: Option<Members>,
    /// The entry of an array's member, if the array has entries.
    pub entry: Option<Arc<str>>,
    /// The task that this one repeats.
    pub retry_of: Option<TaskId>,
}

impl Task {
    /// All attempts, oldest first, the one under way last.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.ended.iter().chain(self.state.live())
    }

    /// The latest attempt.
    pub fn latest(&self) -> Option<&Attempt> {
        self.state.live().or(self.ended.last())
    }

    /// The attempt under way, with its task.
    pub fn live_id(&self) -> Option<AttemptId> {
        self.state.live().map(|a| AttemptId { task: self.id, no: a.no })
    }

    /// Since when the attempt under way, or the next one, could have run: since it was accepted or due, or since the one
    /// before it was over and its back-off too.
    pub fn ready_since(&self) -> UnixMillis {
        match (self.ended.last(), self.backed_off.last()) {
            (Some(_), Some(Some(until))) => *until,
            (Some(Attempt { ended: Some((stamp, _)), .. }), _) => stamp.at,
            (Some(_) | None, _) => self.spec.run_at.map_or(self.accepted.at, |at| at.max(self.accepted.at)),
        }
    }

    /// The number the next attempt gets.
    pub fn next_attempt(&self) -> AttemptNo {
        self.latest().map_or(AttemptNo::FIRST, |a| a.no.next())
    }

    /// The worker of the latest attempt.
    pub fn worker(&self) -> Option<&WorkerId> {
        self.latest().map(|a| &a.worker)
    }

    /// The worker of the latest attempt or, before the first, the one that it waits for; members tell of attempts only.
    pub fn assigned(&self) -> Option<&WorkerId> {
        self.worker().or(self.spec.worker.as_ref().filter(|_| self.id.index().is_none()))
    }

    /// Whether no worker has ever had it; of an array, none of its members.
    pub fn is_untouched(&self) -> bool {
        if self.array.is_some() { matches!(self.state, State::Pending(_)) } else { self.latest().is_none() }
    }

    /// When something is due though nobody acts: the end of a wait for time, or of a queued task's patience.
    pub fn due(&self) -> Option<Due> {
        match &self.state {
            State::Pending(Wait::Queued) => self.patience(),
            State::Pending(Wait::BackingOff(_) | Wait::Delayed(_)) => self.state.due(),
            State::Dispatched(_) | State::Running(_) | State::Cancelling(_) | State::Begun { .. } | State::Final(_) => {
                None
            }
        }
    }

    /// Until when it may wait for its first start.
    fn patience(&self) -> Option<Due> {
        let never_started = || self.attempts().all(|attempt| attempt.started.is_none());
        let within = self.spec.start_within.filter(|_| self.array.is_none() && never_started())?;
        let since = self.spec.run_at.map_or(self.accepted.at, |at| at.max(self.accepted.at));
        Some(Due::after(since, within))
    }

    /// Counts the next event.
    pub fn stamp(&mut self, at: UnixMillis) -> Stamp {
        self.events += 1;
        self.updated = at;
        Stamp { event: self.events, at }
    }

    /// Its place in its class.
    pub fn place(&self) -> Place {
        Place { ready_seq: self.ready_seq, id: self.id }
    }

    /// The code to show once final: 0 for completed, that of the last exit, −1 without one; 1 for an array of which not all
    /// members completed.
    pub fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Final(end) => Some(self.final_code(end)),
            State::Pending(_) | State::Dispatched(_) | State::Running(_) | State::Cancelling(_) => None,
            State::Begun { .. } => None,
        }
    }

    fn final_code(&self, end: &Final) -> i32 {
        match end {
            Final::Completed => 0,
            Final::Failed(_) | Final::TimedOut(_) | Final::Cancelled { .. } if self.array.is_some() => 1,
            Final::TimedOut(_) => -1,
            Final::Failed(_) | Final::Cancelled { .. } => {
                self.ended.last().and_then(|a| a.ended.as_ref()).and_then(|(_, e)| e.exit()).map_or(-1, |x| x.code())
            }
        }
    }

    /// Its events but for progress, in order: they follow from the record and need no rows (PROTOCOL P2).
    pub fn events(&self) -> Vec<Event> {
        let mut events = vec![self.event(self.accepted, 0, EventKind::Accepted)];
        for attempt in self.attempts() {
            let no = attempt.no.0;
            events.push(self.event(attempt.dispatched, no, EventKind::Dispatched(attempt.worker.clone())));
            if let Some(started) = attempt.started {
                events.push(self.event(started, no, EventKind::Started(attempt.worker.clone())));
            }
        }
        for (attempt, until) in self.ended.iter().zip(&self.backed_off) {
            if let Some((stamp, ending)) = &attempt.ended
                && self.finished != Some(*stamp)
            {
                events.push(self.event(*stamp, attempt.no.0, EventKind::AttemptEnded(ending.clone(), *until)));
            }
        }
        if let Some(stamp) = self.array.as_ref().and_then(|books| books.begun) {
            events.push(self.event(stamp, 0, EventKind::Begun));
        }
        let latest = self.latest().map_or(0, |a| a.no.0);
        if let Some(stamp) = self.cancel {
            events.push(self.event(stamp, latest, EventKind::CancelRequested));
        }
        if let (Some(stamp), State::Final(end)) = (self.finished, &self.state) {
            events.push(self.event(stamp, latest, EventKind::Finished(end.clone(), self.final_code(end))));
        }
        events.sort_by_key(|e| e.stamp.event);
        events
    }

    fn event(&self, stamp: Stamp, attempt: u32, kind: EventKind) -> Event {
        Event { task: self.id, stamp, attempt, kind }
    }

    /// How often an attempt took its worker down after it had started, or was refused: what the crash limit counts.
    pub fn crashes(&self) -> u32 {
        self.count(|a, e| match e {
            Ending::Lost => a.started.is_some(),
            Ending::Refused(_) => true,
            Ending::Exited(_) | Ending::Recalled | Ending::Abandoned => false,
        })
    }

    /// How often an attempt failed by itself: what `max_retries` counts. Ends that we brought about don't count.
    pub fn failures(&self) -> u32 {
        self.count(|_, e| match e {
            Ending::Exited(exit) => !exit.success() && *exit != Exit::Killed,
            Ending::Lost | Ending::Refused(_) | Ending::Recalled | Ending::Abandoned => false,
        })
    }

    fn count(&self, which: impl Fn(&Attempt, &Ending) -> bool) -> u32 {
        let n = self.ended.iter().filter(|a| a.ended.as_ref().is_some_and(|(_, e)| which(a, e))).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }
}
