//! The attempts' own directories, `<data>/tasks/<task>/<attempt>`.
//!
//! Making two directories and removing them costs as much as starting a small process, on some disks ten times as
//! much; renaming costs nothing. So directories that were left empty are kept, each with its inner one, and become
//! the next task's by two renames at most. Others are removed on a thread: a task may leave a million files. Either is done
//! when there is nothing else to do: nobody waits for it.

use crate::keeper::{event::TaskUser, paths::DataDir};
use domain::AttemptId;
use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::mpsc::{self, SyncSender, TrySendError},
    thread,
};

/// Directories kept for reuse; beyond it they are removed.
const POOL: usize = 256;
/// The inner directory's name in the pool: most attempts are the first.
const INNER: &str = "1";
/// Directories waiting to be removed. When full, they are removed right here: tasks then wait for the disk.
const WAITING: usize = 1_024;
/// Directories that were given back and not yet looked at, at most.
const BEHIND: usize = 256;

/// Mode of a directory that other users pass through, without seeing what is in it.
const PASSED: u32 = 0o711;
/// Mode of a directory that is its owner's alone.
const OWN: u32 = 0o700;

pub(super) struct Directories {
    tasks: PathBuf,
    pool: PathBuf,
    /// Names in the pool.
    free: Vec<String>,
    next: u64,
    /// Given back, and not yet looked at.
    late: VecDeque<AttemptId>,
    /// The removing thread, once it was needed.
    remover: Option<SyncSender<PathBuf>>,
}

impl Directories {
    /// Finds what an earlier keeper kept.
    pub(super) fn open(dir: &DataDir) -> io::Result<Self> {
        let (tasks, pool) = (dir.tasks(), dir.pool());
        fs::create_dir_all(&tasks)?;
        fs::create_dir_all(&pool)?;
        // Whatever else may be seen of the data directory: nobody learns from here what runs.
        fs::set_permissions(&tasks, fs::Permissions::from_mode(PASSED))?;
        let entries = fs::read_dir(&pool)?.flatten();
        let free: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        let next = free.iter().filter_map(|name| name.parse().ok()).max().unwrap_or(0_u64) + 1;
        Ok(Self { tasks, pool, free, next, late: VecDeque::new(), remover: None })
    }

    /// An empty directory for an attempt, which is `user`'s if one is named. It also tells a later sweep that the attempt
    /// was held.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn take(&mut self, attempt: AttemptId, user: Option<&TaskUser>) -> io::Result<PathBuf> {
        let outer = self.tasks.join(attempt.task.to_string());
        let inner = outer.join(attempt.no.to_string());
        if let Some(user) = user {
            // Made anew, and not kept: nobody else shall have what was another user's.
            for (dir, mode) in [(&outer, PASSED), (&inner, OWN)] {
                fs::create_dir_all(dir)?;
                fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
            }
            chown(&inner, Some(user.uid), Some(user.gid))?;
            return Ok(inner);
        }
        if self.free.is_empty() {
            self.catch_up();
        }
        if let Some(name) = self.free.pop() {
            match fs::rename(self.pool.join(&name), &outer).and_then(|()| rename(&outer.join(INNER), &inner)) {
                Ok(()) => return Ok(inner),
                // Another attempt of the task is here.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => self.free.push(name),
                Err(_) => {}
            }
        }
        fs::create_dir_all(&inner)?;
        Ok(inner)
    }

    /// Takes it back, with what the task left in it, to look at it later.
    pub(super) fn give_back(&mut self, attempt: AttemptId) {
        self.late.push_back(attempt);
        if self.late.len() > BEHIND {
            self.catch_up();
        }
    }

    /// Whether some were given back that nobody has looked at.
    pub(super) fn is_behind(&self) -> bool {
        !self.late.is_empty()
    }

    /// Keeps or removes one that was given back.
    pub(super) fn catch_up(&mut self) {
        let Some(attempt) = self.late.pop_front() else { return };
        let outer = self.tasks.join(attempt.task.to_string());
        let inner = outer.join(attempt.no.to_string());
        if !self.keep(&outer, &inner).unwrap_or(false) {
            self.remove(inner);
        }
    }

    /// Keeps it for another task, if it is as it was made.
    fn keep(&mut self, outer: &Path, inner: &Path) -> io::Result<bool> {
        if self.free.len() >= POOL || !self.is_fresh(inner, 0)? || !self.is_fresh(outer, 1)? {
            return Ok(false);
        }
        let name = self.next.to_string();
        self.next += 1;
        rename(inner, &outer.join(INNER))?;
        fs::rename(outer, self.pool.join(&name))?;
        self.free.push(name);
        Ok(true)
    }

    /// Whether it holds so many entries, and belongs to whom it should with the usual rights.
    fn is_fresh(&self, dir: &Path, entries: usize) -> io::Result<bool> {
        let rights = |path: &Path| fs::symlink_metadata(path).map(|m| (m.mode(), m.uid(), m.gid()));
        Ok(rights(dir)? == rights(&self.pool)? && fs::read_dir(dir)?.take(entries + 1).count() == entries)
    }

    fn remove(&mut self, dir: PathBuf) {
        if self.remover.is_none() {
            let (sender, dirs) = mpsc::sync_channel::<PathBuf>(WAITING);
            let started = thread::Builder::new().name("remover".into()).spawn(move || {
                dirs.iter().for_each(|dir| remove_now(&dir));
            });
            self.remover = started.is_ok().then_some(sender);
        }
        let left = match &self.remover {
            None => Some(dir),
            Some(remover) => match remover.try_send(dir) {
                Ok(()) => None,
                Err(TrySendError::Full(dir) | TrySendError::Disconnected(dir)) => Some(dir),
            },
        };
        if let Some(dir) = left {
            remove_now(&dir);
        }
    }
}

/// Mostly it has that name already.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if from == to { Ok(()) } else { fs::rename(from, to) }
}

fn remove_now(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => eprintln!("removing {}: {error}", dir.display()),
        Ok(()) | Err(_) => {}
    }
    if let Some(parent) = dir.parent() {
        // Not while another attempt of the task is in it.
        let _ = fs::remove_dir(parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AttemptNo, TaskId};

    fn attempt(task: u64, no: u32) -> AttemptId {
        AttemptId { task: TaskId::from_parts(1, 0, 2, task), no: AttemptNo(no) }
    }

    fn open(data: &tempfile::TempDir) -> Directories {
        Directories::open(&DataDir::open(data.path()).expect("a directory")).expect("directories")
    }

    fn give_back(dirs: &mut Directories, attempt: AttemptId) {
        dirs.give_back(attempt);
        assert!(dirs.is_behind());
        dirs.catch_up();
        assert!(!dirs.is_behind());
    }

    fn inode(path: &Path) -> u64 {
        path.metadata().expect("a directory").ino()
    }

    #[test]
    fn an_empty_one_becomes_another_tasks_and_a_used_one_does_not() {
        let data = tempfile::tempdir().expect("a directory");
        let mut dirs = open(&data);
        let first = dirs.take(attempt(1, 1), None).expect("made");
        assert!(first.ends_with(format!("tasks/{}/1", attempt(1, 1).task)));
        let number = inode(&first);
        give_back(&mut dirs, attempt(1, 1));
        assert!(!first.exists());
        let second = dirs.take(attempt(2, 7), None).expect("made");
        assert!(second.ends_with(format!("tasks/{}/7", attempt(2, 7).task)));
        assert_eq!(inode(&second), number);
        fs::write(second.join("file"), "").expect("written");
        give_back(&mut dirs, attempt(2, 7));
        assert_eq!(dirs.free.len(), 0);
        let third = dirs.take(attempt(3, 1), None).expect("made");
        fs::set_permissions(&third, fs::Permissions::from_mode(0o777)).expect("opened");
        give_back(&mut dirs, attempt(3, 1));
        assert_eq!(dirs.free.len(), 0, "its rights were changed");
    }

    #[test]
    fn two_attempts_of_a_task_have_one_each() {
        let data = tempfile::tempdir().expect("a directory");
        let mut dirs = open(&data);
        dirs.take(attempt(9, 1), None).expect("made");
        give_back(&mut dirs, attempt(9, 1));
        let (one, two) = (dirs.take(attempt(1, 1), None).expect("made"), dirs.take(attempt(1, 2), None).expect("made"));
        fs::write(two.join("file"), "").expect("written");
        give_back(&mut dirs, attempt(1, 1));
        assert!(two.join("file").exists());
        assert!(one.parent() == two.parent());
    }

    #[test]
    fn one_that_nobody_has_looked_at_is_looked_at_when_it_is_needed() {
        let data = tempfile::tempdir().expect("a directory");
        let mut dirs = open(&data);
        let number = inode(&dirs.take(attempt(1, 1), None).expect("made"));
        dirs.give_back(attempt(1, 1));
        assert_eq!(inode(&dirs.take(attempt(2, 1), None).expect("made")), number);
    }

    #[test]
    fn only_so_many_wait_to_be_looked_at() {
        let data = tempfile::tempdir().expect("a directory");
        let mut dirs = open(&data);
        let all = || (0..).map(|n| attempt(n, 1)).take(BEHIND + 9);
        all().for_each(|attempt| drop(dirs.take(attempt, None).expect("made")));
        all().for_each(|attempt| dirs.give_back(attempt));
        assert_eq!(fs::read_dir(&dirs.tasks).expect("read").count(), BEHIND);
    }

    #[test]
    fn what_was_kept_outlives_the_keeper() {
        let data = tempfile::tempdir().expect("a directory");
        let mut dirs = open(&data);
        let number = inode(&dirs.take(attempt(1, 1), None).expect("made"));
        give_back(&mut dirs, attempt(1, 1));
        drop(dirs);
        let mut dirs = open(&data);
        assert_eq!(inode(&dirs.take(attempt(2, 1), None).expect("made")), number);
        give_back(&mut dirs, attempt(2, 1));
        assert_eq!(dirs.free.len(), 1);
    }
}
