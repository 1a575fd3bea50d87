//! Backups: the tasks as they are at one moment, with all output that belongs to them, beside a running scheduler or
//! without one; and the way back.
//!
//! Must never change the store that is backed up, and never put anything over data that is there.

mod files;
mod manifest;
mod restore;

pub use manifest::Manifest;
pub use restore::restore;

use domain::{Error, Kind, Result};
use files::{failed, hash, sync_dir};
use manifest::Entry;
use output::segment::SegmentStore;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use store::sqlite::examine;

/// Where output lies, in a data directory as in a backup.
const OUTPUT: &str = "output";
/// The ending of its files.
const SEGMENT: &str = "seg";

/// Writes a backup of this data directory into a new directory.
///
/// Output of finished tasks is there before their end is committed. So it is opened before the tasks are copied, which
/// keeps what expires meanwhile, and what is new since is opened afterwards: nothing that the tasks of the backup
/// have finished with is missing from it.
///
/// # Errors
/// [`Kind::Precondition`]: no store there, or the target is not empty; also if there is no room.
pub fn backup(data_dir: &Path, to: &Path) -> Result<Manifest> {
    let store = examine::file(data_dir);
    if !store.exists() {
        let text = format!("{} holds no store; name the scheduler's --data-dir", data_dir.display());
        return Err(Error::new(Kind::Precondition, text));
    }
    files::take_empty(to)?;
    let from = data_dir.join(OUTPUT);
    let mut segments = open_segments(&from, BTreeMap::new())?;
    let target = examine::file(to);
    examine::copy(&store, &target)?;
    segments = open_segments(&from, segments)?;
    let output = to.join(OUTPUT);
    fs::create_dir(&output).map_err(|error| failed(&output, &error))?;
    for (number, file) in segments {
        files::copy(&file, &output.join(format!("{number}.{SEGMENT}")))?;
    }
    // The last one may have been cut in the middle of a record: opening it cuts off what isn't whole, and looks at the rest.
    drop(SegmentStore::open(&output).map_err(|error| failed(&output, &error))?);
    let damage = examine::quick_check(&target)?;
    if !damage.is_empty() {
        let text = format!("the store is damaged, and so would be its backup: {}", damage.join("; "));
        return Err(Error::new(Kind::DataLoss, text));
    }
    let manifest = describe(to, &target)?;
    manifest.write(to)?;
    sync_dir(&output)?;
    sync_dir(to)?;
    Ok(manifest)
}

/// The segments in this directory, besides those that are open already.
fn open_segments(dir: &Path, mut open: BTreeMap<u64, File>) -> Result<BTreeMap<u64, File>> {
    let names = match fs::read_dir(dir) {
        Ok(names) => names,
        // No output yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(open),
        Err(error) => return Err(failed(dir, &error)),
    };
    for entry in names {
        let path = entry.map_err(|error| failed(dir, &error))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        let Some(number) = number.filter(|_| path.extension().is_some_and(|end| end == SEGMENT)) else { continue };
        if open.contains_key(&number) {
            continue;
        }
        match File::open(&path) {
            Ok(file) => drop(open.insert(number, file)),
            // Expired since: nothing in the store names it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Ok(open)
}

fn describe(dir: &Path, store: &Path) -> Result<Manifest> {
    let examined = examine::examine(store)?;
    let mut files = Vec::new();
    for path in files::all(dir)? {
        let (bytes, blake3) = hash(&path)?;
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
        files.push(Entry { name, bytes, blake3 });
    }
    let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(Manifest {
        format: manifest::FORMAT,
        version: service::VERSION.into(),
        store_id: examined.mark.store_id.to_string(),
        epoch: examined.mark.epoch.0,
        commit: examined.mark.commit.0,
        schema: examined.schema,
        taken_ms: u64::try_from(taken).unwrap_or(u64::MAX),
        tasks: examined.tasks,
        running: examined.running,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Store as _, sqlite::SqliteStore};

    #[test]
    fn what_is_restored_is_what_was_backed_up_and_a_flipped_bit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (data, to, back) = (dir.path().join("data"), dir.path().join("backup"), dir.path().join("back"));
        let mut store = SqliteStore::open(&data).unwrap();
        let opened = store.begin().unwrap();
        let offered = domain::Write::Offered(["resize".to_owned()].into());
        let batch = domain::Batch { epoch: opened.epoch, writes: vec![offered], tallies: Vec::new(), ready_seq: 0 };
        let commit = store.commit(&batch).unwrap();
        // The store is in use meanwhile.
        let manifest = backup(&data, &to).unwrap();
        assert_eq!((manifest.commit, &*manifest.store_id), (commit.0, &*opened.store_id));
        assert_eq!(backup(&data, &to).unwrap_err().kind(), Kind::Precondition, "never over another");
        assert_eq!(restore(&to, &data).unwrap_err().kind(), Kind::Precondition, "never over data");
        assert_eq!(restore(&to, &back).unwrap(), manifest);
        let mut restored = SqliteStore::open(&back).unwrap();
        let again = restored.begin().unwrap();
        assert_eq!((again.commit, again.store_id), (commit, opened.store_id));
        assert!(again.restored.unwrap().contains(&format!("commit {}", commit.0)), "its operator has to accept it");
        let path = examine::file(&to);
        let mut bytes = fs::read(&path).unwrap();
        bytes[5_000] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = restore(&to, &dir.path().join("third")).unwrap_err();
        assert!(error.kind() == Kind::DataLoss && error.text().contains("tasks.sqlite"), "{error}");
        assert!(!dir.path().join("third").join("tasks.sqlite").exists(), "nothing was put there");
    }
}
