//! What every store must do, run on each of them.

mod arrays;
mod batches;
mod expire;
mod lists;
mod members;
mod queries;
mod random;
pub(crate) mod samples;
pub(crate) mod scribe;
mod tokens;
mod windows;

use crate::{Store, memory::MemoryStore, sqlite::SqliteStore};
use domain::{Epoch, Task};
use scribe::Scribe;

/// A store of each sort; the second value keeps its directory.
fn stores() -> Vec<(&'static str, Box<dyn Store>, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(dir.path()).unwrap();
    vec![("memory", Box::new(MemoryStore::new()), None), ("sqlite", Box::new(sqlite), Some(dir))]
}

/// Makes durable what the scribe has noted.
fn commit(store: &mut dyn Store, epoch: Epoch, scribe: &mut Scribe) {
    store.commit(&scribe.batch(epoch)).unwrap();
}

/// A reign with these tasks.
fn fill(store: &mut dyn Store, tasks: &[Task]) -> (Epoch, Scribe) {
    let (epoch, mut scribe) = (store.begin().unwrap().epoch, Scribe::default());
    tasks.iter().for_each(|task| scribe.insert(task));
    commit(store, epoch, &mut scribe);
    (epoch, scribe)
}
