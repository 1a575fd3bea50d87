//! Removing attempts' directories: empty ones at once, full ones on a thread of their own, because a task may leave a
//! million files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc::{self, SyncSender, TrySendError},
    thread,
};

/// Directories waiting for the thread. When full, they are removed right here: tasks then wait for the disk.
const WAITING: usize = 1_024;

#[derive(Default)]
pub(super) struct Cleaner {
    /// The thread, once it was needed.
    thread: Option<SyncSender<PathBuf>>,
}

impl Cleaner {
    /// Removes a directory, and its parent if nothing else is in it.
    pub(super) fn remove(&mut self, dir: PathBuf) {
        match fs::remove_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => self.later(dir),
            Ok(()) | Err(_) => remove_parent(&dir),
        }
    }

    fn later(&mut self, dir: PathBuf) {
        if self.thread.is_none() {
            let (sender, dirs) = mpsc::sync_channel::<PathBuf>(WAITING);
            let started = thread::Builder::new().name("cleaner".into()).spawn(move || {
                dirs.iter().for_each(|dir| remove_now(&dir));
            });
            self.thread = started.is_ok().then_some(sender);
        }
        let left = match &self.thread {
            None => Some(dir),
            Some(thread) => match thread.try_send(dir) {
                Ok(()) => None,
                Err(TrySendError::Full(dir) | TrySendError::Disconnected(dir)) => Some(dir),
            },
        };
        if let Some(dir) = left {
            remove_now(&dir);
        }
    }
}

fn remove_now(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        eprintln!("removing {}: {error}", dir.display());
    }
    remove_parent(dir);
}

fn remove_parent(dir: &Path) {
    if let Some(parent) = dir.parent() {
        // Not while another attempt of the task is in it.
        let _ = fs::remove_dir(parent);
    }
}
