//! What every store must do, run on each of them.

mod batches;
mod queries;
mod samples;

use crate::{Store, memory::MemoryStore, sqlite::SqliteStore};

/// A store of each sort; the second value keeps its directory.
fn stores() -> Vec<(&'static str, Box<dyn Store>, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(dir.path()).unwrap();
    vec![("memory", Box::new(MemoryStore::new()), None), ("sqlite", Box::new(sqlite), Some(dir))]
}
