//! Restoring: a backup becomes a data directory, marked as one that may be behind.
//!
//! Must never touch a directory in which anything is, and put nothing anywhere before all of the backup is known to be whole.

use super::files::{self, failed, hash, sync_dir};
use super::manifest::{Entry, Manifest};
use domain::{Error, Kind, Result};
use std::fs::{self, File};
use std::{io::Write as _, path::Path};
use store::sqlite::examine;

/// Puts the backup in `from` into the data directory `to`, which must be empty. The scheduler will not schedule from it
/// before an operator accepts that what was acknowledged after the backup is lost.
///
/// # Errors
/// [`Kind::Precondition`]: that is no backup, or the directory isn't empty; [`Kind::DataLoss`] if the backup is damaged.
pub fn restore(from: &Path, to: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(from)?;
    for Entry { name, bytes, blake3 } in &manifest.files {
        let path = from.join(name);
        if hash(&path)? != (*bytes, blake3.clone()) {
            let text = format!("the backup is damaged: {} is not what was written", path.display());
            return Err(Error::new(Kind::DataLoss, text));
        }
    }
    let damage = examine::quick_check(&examine::file(from))?;
    if !damage.is_empty() {
        return Err(Error::new(Kind::DataLoss, format!("the backup is damaged: {}", damage.join("; "))));
    }
    files::take_empty(to)?;
    for Entry { name, .. } in &manifest.files {
        let path = to.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        }
        let file = File::open(from.join(name)).map_err(|error| failed(&from.join(name), &error))?;
        files::copy(&file, &path)?;
    }
    let mark = to.join(examine::RESTORED);
    let text =
        format!("commit {}, taken at {} ms since 1970 by {}\n", manifest.commit, manifest.taken_ms, manifest.version);
    let marked = File::create_new(&mark).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    marked.map_err(|error| failed(&mark, &error))?;
    sync_dir(to)?;
    Ok(manifest)
}
