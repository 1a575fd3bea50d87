//! Ending what a dead keeper left running, and removing its tasks' directories.

use super::paths::{self, DataDir};
use domain::{Error, Kind, Result};
use std::{
    fs::{self, File},
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long a keeper whose socket is gone may still hold the lock.
const DYING: Duration = Duration::from_millis(500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// Ends every process that a dead keeper of this data directory left behind. Blocks for 5 seconds at most, usually for
/// milliseconds; call it off the event loop. A keeper does the same when it starts.
///
/// # Errors
/// [`Kind::Precondition`]: a keeper lives. [`Kind::Unavailable`]: some processes could not be ended.
pub fn sweep(data_dir: &Path) -> Result<()> {
    let failed = |e: io::Error| Error::unavailable(format!("sweeping {}: {e}", data_dir.display()));
    let dir = DataDir::open(data_dir).map_err(failed)?;
    let _lock = match lock_soon(&dir) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(Error::new(Kind::Precondition, "its keeper lives"));
        }
        Err(error) => return Err(failed(error)),
    };
    if all(&dir).map_err(failed)? { Ok(()) } else { Err(Error::unavailable("processes of dead tasks don't end")) }
}

/// A process that has just died lets go of its files one after the other.
pub(super) fn lock_soon(dir: &DataDir) -> io::Result<File> {
    let until = Instant::now() + DYING;
    loop {
        match paths::lock(dir) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => thread::sleep(PAUSE),
            done => return done,
        }
    }
}

/// Ends all that is left, and removes what was kept for it; whether it is gone. Only for who holds the lock.
pub(super) fn all(dir: &DataDir) -> io::Result<bool> {
    let gone = trees(dir)?;
    remove(&dir.tasks())?;
    // Whoever wanted what the dead keeper had written has read it before.
    remove(&dir.spool())?;
    Ok(gone)
}

/// Ends all that is left; whether it is gone. Only for who holds the lock.
pub(super) fn trees(dir: &DataDir) -> io::Result<bool> {
    let tasks = dir.tasks();
    let mut cookies = Vec::new();
    // Each attempt that was held has a directory, and its processes carry its names.
    for task in names(&tasks)? {
        for no in names(&tasks.join(&task))? {
            cookies.push(super::launch::cookie(&task, &no));
        }
    }
    let swept = exec::tree::sweep(&exec::tree::name_for(dir.path())?, cookies)?;
    if swept.trees > 0 {
        eprintln!("ended what was left of {} attempts", swept.trees);
    }
    Ok(swept.gone)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
