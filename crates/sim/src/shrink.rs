//! Shrinking: fewer cues that still fail.

use crate::{Plan, Report, run};
use std::{
    cell::Cell,
    collections::BTreeSet,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

/// Worlds tried for one failure, at most.
const TRIES: usize = 600;

/// Runs a world.
///
/// # Errors
/// Why it fails, in words.
pub fn failure(plan: &Plan) -> Result<Report, String> {
    let plan = plan.clone();
    let _quiet = Quiet::begin();
    catch_unwind(AssertUnwindSafe(|| run(plan))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A world that fails says so once, to whoever ran it, and not by itself.
struct Quiet;

impl Quiet {
    fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let hook = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !QUIET.get() {
                    hook(info);
                }
            }));
        });
        QUIET.set(true);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(false);
    }
}

/// The kind of a failure: its words without names and numbers.
fn kind(text: &str) -> String {
    let word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || ",':".contains(c));
    text.lines().next().unwrap_or_default().split(' ').filter(word).collect::<Vec<_>>().join(" ")
}

/// Leaves out as many cues as possible without losing this kind of failure. Fewer faults first make for a simpler story.
pub fn shrink(plan: &Plan, failed: &str, cues: usize) -> BTreeSet<usize> {
    let wanted = kind(failed);
    let mut kept: Vec<usize> =
        plan.only.as_ref().map_or_else(|| (0..cues).collect(), |only| only.iter().copied().collect());
    let mut tries = 0;
    let mut chunk = kept.len().div_ceil(2).max(1);
    while tries < TRIES {
        let mut shorter = false;
        let mut from = 0;
        while from < kept.len() && tries < TRIES {
            let to = (from + chunk).min(kept.len());
            let without: Vec<usize> = kept[..from].iter().chain(&kept[to..]).copied().collect();
            tries += 1;
            let only = Some(without.iter().copied().collect());
            let same = failure(&Plan { only, ..plan.clone() }).is_err_and(|text| kind(&text) == wanted);
            if same {
                kept = without;
                shorter = true;
            } else {
                from = to;
            }
        }
        if chunk == 1 && !shorter {
            break;
        }
        chunk = if shorter { chunk } else { chunk.div_ceil(2) }.min(kept.len().max(1));
        if chunk > 1 && !shorter && kept.len() <= 1 {
            chunk = 1;
        }
    }
    kept.into_iter().collect()
}
