//! The check of the whole store after a start, in the background (GUARANTEES G12).
//!
//! Must never hold up the start, nor anybody's call: it has a connection and a thread of its own, of the lowest priority.

use service::Readiness;
use std::path::Path;
use std::time::Instant;
use std::{io, thread};

/// How low the priority is: the lowest.
const NICE: i32 = 19;
/// What is wrong, on /readyz.
const STORE_CHECK: &str = "store-check";

/// Starts it. What it finds is logged, counted, and said on /readyz.
pub(crate) fn start(data_dir: &Path, readiness: Readiness) -> io::Result<()> {
    let file = store::sqlite::examine::file(data_dir);
    let work = move || {
        // Of this thread alone, on Linux. At the usual priority it is as right, only less polite.
        let _ = rustix::process::nice(NICE);
        let began = Instant::now();
        match store::sqlite::examine::quick_check(&file) {
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
