//! The manifest: what a backup is of, and what its files must be.

use super::files::failed;
use domain::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::{io::Write as _, path::Path};

/// Its name in the backup.
const FILE: &str = "backup.json";
/// The only one there is.
pub(super) const FORMAT: u32 = 1;

/// A backup, described.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Which form of backup it is.
    pub format: u32,
    /// The build that made it.
    pub version: String,
    /// Which store it is of.
    pub store_id: String,
    /// The epoch of its moment.
    pub epoch: u64,
    /// The last commit in it: what was acknowledged later is not.
    pub commit: u64,
    /// The version of its tables.
    pub schema: i64,
    /// When it was begun, in ms since 1970.
    pub taken_ms: u64,
    /// Tasks in it; an array counts as one.
    pub tasks: u64,
    /// Tasks that were with a worker: of their output the backup has what had arrived.
    pub running: u64,
    /// What it consists of.
    pub files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the backup.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its checksum, in hex.
    pub blake3: String,
}

impl Manifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::internal(error.to_string()))?;
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(|error| failed(&path, &error))
    }

    /// The manifest of the backup in this directory.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let wrong = |why: &str| Error::new(Kind::Precondition, format!("{} is no backup: {why}", dir.display()));
        let text = fs::read(&path).map_err(|error| wrong(&format!("{FILE}: {error}")))?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| wrong(&format!("{FILE}: {error}")))?;
        if manifest.format != FORMAT {
            return Err(wrong(&format!("its format is {}, this build knows {FORMAT}", manifest.format)));
        }
        // A name from outside must not lead outside.
        let inside =
            |name: &str| Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        match manifest.files.iter().find(|file| !inside(&file.name)) {
            Some(file) => Err(wrong(&format!("it names {}", file.name))),
            None => Ok(manifest),
        }
    }
}
