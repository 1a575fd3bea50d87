//! Words to the person who waits: why a task can't start as things are.

use crate::{escape::shown, printer};
use std::collections::BTreeSet;
use wire::v1::TaskAccepted;

/// The codes of reasons that don't pass by waiting: somebody has to do something.
const STUCK: [&str; 5] = ["no_worker", "no_match", "worker_away", "workers_draining", "queue_paused"];
/// Different reasons shown of one command.
const SHOWN: usize = 5;

/// Says once why tasks can't start, of those where nothing fits.
#[derive(Default)]
pub struct Notes {
    quiet: bool,
    said: BTreeSet<String>,
}

impl Notes {
    /// Says nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, said: BTreeSet::new() }
    }

    /// Says why this task can't start, unless it can, or it has been said.
    pub fn accepted(&mut self, accepted: &TaskAccepted) {
        if let Some((code, text)) = accepted.state_reason.split_once(": ") {
            self.reason(code, text);
        }
    }

    /// Says this reason, if nothing fits and it has not been said.
    pub fn reason(&mut self, code: &str, text: &str) {
        if !self.quiet && STUCK.contains(&code) && self.said.len() < SHOWN && self.said.insert(text.to_owned()) {
            printer::note(&format!("note: {}", shown(text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(quiet: bool, reasons: &[&str]) -> Vec<String> {
        let mut notes = Notes::new(quiet);
        for reason in reasons {
            notes.accepted(&TaskAccepted { state_reason: (*reason).into(), ..TaskAccepted::default() });
        }
        notes.said.into_iter().collect()
    }

    #[test]
    fn only_what_does_not_pass_by_waiting_is_noted_and_once() {
        let stuck = "no_match: no worker has label gpu=a100 (3 connected)";
        assert_eq!(
            said(false, &[stuck, stuck, "queued: queued behind 3", ""]),
            ["no worker has label gpu=a100 (3 connected)"]
        );
        assert_eq!(said(true, &[stuck]), Vec::<String>::new());
    }
}
