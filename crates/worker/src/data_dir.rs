//! The worker's directory: who it is on this boot, what it has seen, and that nobody else uses it.
//!
//! Must never hold anything about single attempts: that is the keeper's.

use crate::seen::Watermark;
use domain::{Epoch, Incarnation};
use service::Fatal;
use session::Known;
use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Locked while a worker lives.
const LOCK: &str = "worker.lock";
/// Random bytes in hex: with the boot id, the incarnation.
const ID: &str = "id";
/// The highest epoch seen, and of which store.
const KNOWN: &str = "known.json";
/// The store, and its highest commit seen.
const WATERMARK: &str = "watermark.json";
/// The keeper's: the tasks' directories, and empty ones that may become such.
const TASKS: &str = "tasks";
const POOL: &str = "pool";
/// Mode of a directory that other users pass through, without seeing what is in it.
const PASSED: u32 = 0o711;
/// What of a mode is the owner's.
const OWNER: u32 = 0o700;
/// Names the boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct KnownFile {
    store_id: Option<String>,
    epoch: u64,
}

impl DataDir {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    /// [`Fatal`] if another worker has it, or it can't be written.
    pub fn open(path: &Path) -> Result<Self, Fatal> {
        let cannot = |error: io::Error| {
            Fatal::new(format!("cannot use the data directory {}: {error}", path.display()))
                .hint("choose a directory that this user may write, with --data-dir DIR")
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
        let mut options = File::options();
        let lock = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(cannot)?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Fatal::new(format!("the data directory {} is in use by another worker", path.display()))
                    .hint("give this worker another --id or --data-dir"))
            }
            Err(error) => Err(cannot(error.into())),
        }
    }

    /// Lets other users pass to the directories of their tasks, and to nothing else in here.
    ///
    /// # Errors
    /// [`Fatal`] if it isn't ours to give.
    pub fn open_tasks(&self) -> Result<PathBuf, Fatal> {
        let tasks = self.path.join(TASKS);
        let opened = || {
            DirBuilder::new().recursive(true).create(&tasks)?;
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                let meta = entry.metadata()?;
                if entry.file_name() != POOL && !meta.is_symlink() {
                    fs::set_permissions(entry.path(), fs::Permissions::from_mode(meta.permissions().mode() & OWNER))?;
                }
            }
            fs::set_permissions(&tasks, fs::Permissions::from_mode(PASSED))?;
            fs::set_permissions(&self.path, fs::Permissions::from_mode(PASSED))
        };
        opened().map(|()| tasks.clone()).map_err(|error: io::Error| {
            Fatal::new(format!("cannot open {} to another user's tasks: {error}", tasks.display()))
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This directory on this boot (PROTOCOL P1).
    pub fn incarnation(&self) -> Result<Incarnation, Fatal> {
        let cannot = |what: &Path, error: &dyn std::fmt::Display| {
            Fatal::new(format!("cannot tell who this worker is by {}: {error}", what.display()))
        };
        let file = self.path.join(ID);
        let id = match fs::read_to_string(&file) {
            Ok(id) if !id.trim().is_empty() => id,
            Ok(_) => self.new_id().map_err(|error| cannot(&file, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.new_id().map_err(|error| cannot(&file, &error))?
            }
            Err(error) => return Err(cannot(&file, &error)),
        };
        let boot = fs::read_to_string(BOOT_ID).map_err(|error| cannot(Path::new(BOOT_ID), &error))?;
        Ok(Incarnation(format!("{}@{}", id.trim(), boot.trim()).into()))
    }

    fn new_id(&self) -> io::Result<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let id = uuid::Uuid::from_bytes(bytes).simple().to_string();
        self.replace(ID, id.as_bytes())?;
        Ok(id)
    }

    /// What earlier processes have seen. What can't be read counts as not seen: it only widens what is accepted.
    pub fn known(&self) -> Known {
        let text = fs::read(self.path.join(KNOWN)).unwrap_or_default();
        match serde_json::from_slice(&text) {
            Ok(KnownFile { store_id, epoch }) => Known { store_id: store_id.map(Into::into), epoch: Epoch(epoch) },
            Err(_) => Known::default(),
        }
    }

    /// Keeps this for later processes. A crash of the machine may lose it: after that nothing of this worker runs.
    pub fn remember(&self, known: &Known) -> io::Result<()> {
        let Known { store_id, epoch } = known;
        let file = KnownFile { store_id: store_id.as_ref().map(ToString::to_string), epoch: epoch.0 };
        self.replace(KNOWN, &serde_json::to_vec(&file)?)
    }

    /// What earlier processes have seen of the store. One that only knew its name has seen no commit.
    pub fn watermark(&self) -> Watermark {
        let text = fs::read(self.path.join(WATERMARK)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_else(|_| Watermark {
            store_id: self.known().store_id.map(|id| id.to_string()).unwrap_or_default(),
            ..Watermark::default()
        })
    }

    /// Keeps this for later processes.
    pub fn remember_watermark(&self, watermark: &Watermark) -> io::Result<()> {
        self.replace(WATERMARK, &serde_json::to_vec(watermark)?)
    }

    /// Writes a file whole or not at all.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.path.join(format!("{name}.new"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(fresh, self.path.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_at_a_time_and_the_next_one_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        let text = DataDir::open(&path).unwrap_err().to_string();
        assert!(text.contains("is in use by another worker"), "{text}");
        let incarnation = first.incarnation().unwrap();
        let known = Known { store_id: Some("s".into()), epoch: Epoch(7) };
        assert_eq!(first.known(), Known::default());
        first.remember(&known).unwrap();
        drop(first);
        let second = DataDir::open(&path).unwrap();
        assert_eq!((second.incarnation().unwrap(), second.known()), (incarnation, known));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let text = DataDir::open(Path::new("/proc/no/such")).unwrap_err().to_string();
        assert!(text.starts_with("cannot use the data directory /proc/no/such: "), "{text}");
    }
}
