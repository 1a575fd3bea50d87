//! The transition table of a task: every way from one state to another, as a value that also draws its own diagram.

use domain::{State, StateWord, Task};
use std::fmt::Write as _;

/// Why a task changes its state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trigger {
    /// A worker has room.
    Assign,
    /// The worker says that it runs.
    Start,
    /// The attempt ended well.
    Succeed,
    /// The attempt failed, for good.
    Fail,
    /// The attempt ran out of time, for good; or nobody started the task for as long as it may wait.
    TimeOut,
    /// The attempt failed and is tried again after a while.
    BackOff,
    /// The attempt ended through no fault of its own (lost, refused, taken back, interrupted): at once again.
    Requeue,
    /// The back-off or delay is over.
    Due,
    /// Somebody cancels.
    Cancel,
    /// The cancelled attempt's processes are gone, or nobody can say.
    Gone,
}

use StateWord::{BackingOff, Cancelled, Cancelling, Completed, Delayed, Dispatched, Failed, Queued, Running, TimedOut};
use Trigger::{Assign, BackOff, Cancel, Due, Fail, Gone, Requeue, Start, Succeed, TimeOut};

/// The table: from, why, to. What isn't here cannot happen.
pub const TRANSITIONS: [(StateWord, Trigger, StateWord); 24] = [
    (Delayed, Due, Queued),
    (Delayed, Cancel, Cancelled),
    (Queued, Assign, Dispatched),
    (Queued, Cancel, Cancelled),
    (Queued, TimeOut, TimedOut),
    (BackingOff, Due, Queued),
    (BackingOff, Cancel, Cancelled),
    (Dispatched, Start, Running),
    (Dispatched, Succeed, Completed),
    (Dispatched, Fail, Failed),
    (Dispatched, TimeOut, TimedOut),
    (Dispatched, BackOff, BackingOff),
    (Dispatched, Requeue, Queued),
    (Dispatched, Cancel, Cancelling),
    (Dispatched, Gone, Cancelled),
    (Running, Succeed, Completed),
    (Running, Fail, Failed),
    (Running, TimeOut, TimedOut),
    (Running, BackOff, BackingOff),
    (Running, Requeue, Queued),
    (Running, Cancel, Cancelling),
    (Running, Gone, Cancelled),
    (Cancelling, Start, Cancelling),
    (Cancelling, Gone, Cancelled),
];

/// Moves a task along the table.
///
/// # Panics
/// If the table doesn't have the transition: continuing would break a promise, stopping loses nothing.
pub(crate) fn move_to(task: &mut Task, trigger: Trigger, state: State) {
    let (from, to) = (task.state.word(), state.word());
    assert!(
        TRANSITIONS.contains(&(from, trigger, to)),
        "task {}: no transition from {} to {} by {trigger:?}",
        task.id,
        from.as_str(),
        to.as_str()
    );
    task.state = state;
}

/// The table as a Mermaid state diagram, for the docs.
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> queued: submit\n    [*] --> delayed: submit\n");
    for (from, trigger, to) in TRANSITIONS {
        let why = format!("{trigger:?}").to_lowercase();
        let _ = writeln!(text, "    {} --> {}: {why}", from.as_str(), to.as_str());
    }
    for word in StateWord::ALL.into_iter().filter(|w| w.is_final()) {
        let _ = writeln!(text, "    {} --> [*]", word.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_leads_out_of_an_end_and_every_state_can_reach_one() {
        assert!(TRANSITIONS.iter().all(|(from, _, _)| !from.is_final()));
        let mut reaching: BTreeSet<_> = StateWord::ALL.into_iter().filter(|w| w.is_final()).collect();
        for _ in StateWord::ALL {
            let more: Vec<_> = TRANSITIONS.iter().filter(|(_, _, to)| reaching.contains(to)).map(|t| t.0).collect();
            reaching.extend(more);
        }
        assert_eq!(reaching.len(), StateWord::ALL.len());
    }

    #[test]
    fn the_diagram_in_the_docs_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/transitions.md");
        let docs = std::fs::read_to_string(path).unwrap_or_default();
        assert!(docs.contains(&diagram()), "docs/transitions.md is stale; its diagram must be:\n{}", diagram());
    }
}
