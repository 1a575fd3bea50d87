//! Notes: one small file for each container attempt that the keeper holds, so that a worker that is started again knows
//! which those are, and what their tenders had to say besides an exit code.
//!
//! Files of this boot only matter: what a power cut takes is about attempts that it has ended.

use domain::{AttemptId, AttemptNo};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// Below the worker's data directory.
const DIR: &str = "docker";
/// Of a file that is being written.
const FRESH: &str = "new";

/// What is known of an attempt's container besides its exit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// What must not outlive the attempt.
    pub container: Held,
    /// The tender has seen to that.
    pub gone: bool,
    /// Why the tender's exit code means nothing.
    pub failed: Option<Failed>,
}

/// What an attempt holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Held {
    /// A container that it makes: it is removed.
    Made,
    /// One that was there before: it is stopped.
    Lent(String),
    /// None.
    Nothing,
}

/// A tender failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failed {
    /// Nothing was started: why.
    NotStarted(String),
    /// Nobody knows how the container ended: why.
    Lost(String),
}

impl Note {
    /// Reads one.
    ///
    /// # Errors
    /// The file system's.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Writes one, whole or not at all.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let fresh = path.with_added_extension(FRESH);
        fs::write(&fresh, serde_json::to_vec(self)?)?;
        fs::rename(fresh, path)
    }
}

/// The notes of one worker.
#[derive(Debug)]
pub(super) struct Notes {
    dir: PathBuf,
}

impl Notes {
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join(DIR) }
    }

    /// Where an attempt's lies.
    pub fn path(&self, attempt: AttemptId) -> PathBuf {
        self.dir.join(format!("{}-{}", attempt.task, attempt.no))
    }

    /// Writes down that this attempt is about to start.
    pub fn begin(&self, attempt: AttemptId, container: Held) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        Note { container, gone: false, failed: None }.write(&self.path(attempt))
    }

    /// Removes one. One that stays is removed with the next start of the worker.
    pub fn forget(&self, attempt: AttemptId) {
        if let Err(error) = fs::remove_file(self.path(attempt))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, task_id = %attempt.task, "The note of a container attempt stays");
        }
    }

    /// All that there are. What isn't a note is nobody's.
    pub fn all(&self) -> BTreeMap<AttemptId, PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((attempt_of(entry.file_name().to_str()?)?, entry.path()))).collect()
    }
}

fn attempt_of(name: &str) -> Option<AttemptId> {
    let (task, no) = name.rsplit_once('-')?;
    Some(AttemptId { task: task.parse().ok()?, no: AttemptNo(no.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TaskId;

    #[test]
    fn a_later_process_finds_what_was_noted() {
        let dir = tempfile::tempdir().unwrap();
        let task = TaskId::from_parts(1_700_000_000_000, 0, 7, 9);
        let one = AttemptId { task, no: AttemptNo(12) };
        let member = AttemptId { task: task.member(3), no: AttemptNo(1) };
        let notes = Notes::new(dir.path());
        assert!(notes.all().is_empty());
        notes.begin(one, Held::Made).unwrap();
        notes.begin(member, Held::Lent("c".into())).unwrap();
        let failed = Some(Failed::NotStarted("no such image".into()));
        let said = Note { container: Held::Made, gone: true, failed };
        said.write(&notes.path(one)).unwrap();
        let later = Notes::new(dir.path());
        assert_eq!(later.all().into_keys().collect::<Vec<_>>(), [one, member]);
        assert_eq!(Note::read(&later.path(one)).unwrap(), said);
        later.forget(one);
        later.forget(one);
        assert_eq!(notes.all().into_keys().collect::<Vec<_>>(), [member]);
    }
}
