//! The check of the whole store after a start, in the background (GUARANTEES G12).
//!
//! Must never hold up the start, nor anybody's call: it has a connection and a thread of its own, of the lowest priority, which
//! rests all the time.

use service::Readiness;
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use store::sqlite::examine::InOrder;

/// How low the priority is: the lowest.
const NICE: i32 = 19;
/// Works so long at a time. The priority alone isn't enough: it counts among the threads of this service only, where Linux
/// shares by session or control group, and the kernel's own threads, which end a commit's sync, waited 4 ms for a tick.
const SPELL: Duration = Duration::from_micros(250);
/// And rests so long; Linux makes twice as much of it.
const REST: Duration = Duration::from_micros(50);
/// Between two spells so much of the file is asked for, in order: more than the check gets through in a spell. By itself it reads page
/// by page, as its trees lead it, which is many times slower from a disk; and with the kernel's reading ahead of it, everybody else
/// would wait behind megabytes.
const CHUNK: u32 = 128 * 1024;
/// What is wrong, on /readyz.
const STORE_CHECK: &str = "store-check";

/// Whether the check is over, however it went. Until then the log can't be emptied: it reads the store as it was at its beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Over(Arc<AtomicBool>);

impl Over {
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Of a store that nobody checks.
    #[cfg(test)]
    pub fn already() -> Self {
        Self(Arc::new(true.into()))
    }
}

/// Starts it. What it finds is logged, counted, and said on /readyz.
pub(crate) fn start(data_dir: &Path, readiness: Readiness, over: Over) -> io::Result<()> {
    let file = store::sqlite::examine::file(data_dir);
    let work = move || {
        // Of this thread alone, on Linux. At the usual priority it is as right, only less polite.
        let _ = rustix::process::nice(NICE);
        let began = Instant::now();
        let checked = store::sqlite::examine::check_beside(&file, beside());
        over.set();
        match checked {
            Ok(found) if found.is_empty() => {
                tracing::info!(seconds = began.elapsed().as_secs_f64(), "Store checked: no damage");
            }
            Ok(found) => {
                let text = format!("the store is damaged: {}; restore a backup, or ask for help", found.join("; "));
                tracing::error!(reason = text, "Store checked");
                metrics::gauge!("baton_store_damaged").set(1.0);
                readiness.waiting(STORE_CHECK, text);
            }
            Err(error) => tracing::error!(%error, "Store cannot be checked"),
        }
    };
    thread::Builder::new().name("store-check".into()).spawn(work).map(drop)
}

/// What goes on beside the check, on its thread: called often, it rests where it is time to.
fn beside() -> impl FnMut(&mut InOrder) {
    let mut began = Instant::now();
    move |pages| {
        if began.elapsed() >= SPELL {
            // The next spell begins with what is there.
            pages.ask(CHUNK);
            thread::sleep(REST);
            began = Instant::now();
        }
    }
}
