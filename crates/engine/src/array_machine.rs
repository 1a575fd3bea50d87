//! The transition table of an array: what its members make of it (PROTOCOL P5).

use domain::{State, StateWord, Task};
use std::fmt::Write as _;

/// Why an array changes its state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ArrayTrigger {
    /// Its time has come.
    Due,
    /// Its first member is given to a worker.
    Begin,
    /// Somebody cancels it.
    Cancel,
    /// Its last member became final.
    End,
}

use ArrayTrigger::{Begin, Cancel, Due, End};
use StateWord::{Cancelled, Cancelling, Completed, Delayed, Failed, Queued, Running, TimedOut};

/// The table: from, why, to. What isn't here cannot happen.
pub const ARRAY_TRANSITIONS: [(StateWord, ArrayTrigger, StateWord); 12] = [
    (Delayed, Due, Queued),
    (Delayed, End, Cancelled),
    (Queued, Begin, Running),
    // All members were cancelled before the first one ran.
    (Queued, End, Cancelled),
    (Running, Cancel, Cancelling),
    (Running, End, Completed),
    (Running, End, Failed),
    (Running, End, TimedOut),
    (Running, End, Cancelled),
    (Cancelling, End, Failed),
    (Cancelling, End, TimedOut),
    (Cancelling, End, Cancelled),
];

/// Moves an array along the table.
///
/// # Panics
/// If the table doesn't have the transition: continuing would break a promise, stopping loses nothing.
pub(crate) fn move_array(task: &mut Task, trigger: ArrayTrigger, state: State) {
    let (from, to) = (task.state.word(), state.word());
    assert!(
        ARRAY_TRANSITIONS.contains(&(from, trigger, to)),
        "array {}: no transition from {} to {} by {trigger:?}",
        task.id,
        from.as_str(),
        to.as_str()
    );
    task.state = state;
}

/// The table as a Mermaid state diagram, for the docs.
pub fn array_diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> queued: submit\n    [*] --> delayed: submit\n");
    for (from, trigger, to) in ARRAY_TRANSITIONS {
        let why = format!("{trigger:?}").to_lowercase();
        let _ = writeln!(text, "    {} --> {}: {why}", from.as_str(), to.as_str());
    }
    for word in [Completed, Failed, TimedOut, Cancelled] {
        let _ = writeln!(text, "    {} --> [*]", word.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_an_end() {
        assert!(ARRAY_TRANSITIONS.iter().all(|(from, _, _)| !from.is_final()));
    }

    #[test]
    fn the_diagram_in_the_docs_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/transitions.md");
        let docs = std::fs::read_to_string(path).unwrap_or_default();
        assert!(docs.contains(&array_diagram()), "docs/transitions.md is stale; it must have:\n{}", array_diagram());
    }
}
