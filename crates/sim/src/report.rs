//! What a run saw.

use crate::rare::Seen;
use std::fmt;

/// What a run saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Hash of the trace.
    pub hash: u64,
    /// Steps.
    pub steps: u64,
    /// Tasks that ended.
    pub tasks: u64,
    /// Attempts that were started.
    pub attempts: u64,
    /// Attempts that were lost.
    pub lost: u64,
    /// Reports refused.
    pub refused: u64,
    /// Members of arrays among the tasks.
    pub members: u64,
    /// Tasks that were run again as new ones.
    pub retried: u64,
    /// Faults that struck.
    pub faults: u64,
    /// The most tasks that were in memory at once.
    pub peak: u64,
    /// Rare states reached.
    pub seen: Seen,
}

impl Report {
    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        let Self { hash, steps, tasks, attempts, lost, refused, members, retried, faults, peak, seen } = other;
        self.hash ^= hash;
        self.steps += steps;
        self.tasks += tasks;
        self.attempts += attempts;
        self.lost += lost;
        self.refused += refused;
        self.members += members;
        self.retried += retried;
        self.faults += faults;
        self.peak = self.peak.max(*peak);
        self.seen.add(seen);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash: _, steps, tasks, attempts, lost, refused, members, retried, faults, peak, seen: _ } = self;
        write!(
            f,
            "{steps} steps, {faults} faults, {tasks} tasks ({members} of arrays submitted, {retried} run again), "
        )?;
        write!(f, "{attempts} attempts, {lost} lost, {refused} reports refused, at most {peak} tasks in memory")
    }
}
