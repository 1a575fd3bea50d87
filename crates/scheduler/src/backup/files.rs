//! Files of a backup: copied whole, synced, and named in every error.

use domain::{Error, Kind, Result};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Read at once.
const BLOCK_BYTES: usize = 1024 * 1024;

/// What went wrong with a file.
pub(super) fn failed(path: &Path, error: &io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::StorageFull { Kind::Exhausted } else { Kind::Precondition };
    Error::new(kind, format!("{}: {error}", path.display()))
}

/// Makes a directory, or takes one that is empty.
pub(super) fn take_empty(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let mut names = fs::read_dir(dir).map_err(|error| failed(dir, &error))?;
    match names.next() {
        None => Ok(()),
        Some(_) => Err(Error::new(Kind::Precondition, format!("{} is not empty; nothing was changed", dir.display()))),
    }
}

/// Copies what a file holds, and syncs the copy.
pub(super) fn copy(mut from: &File, to: &Path) -> Result<()> {
    let copied = File::create_new(to).and_then(|mut copy| {
        io::copy(&mut from, &mut copy)?;
        copy.sync_all()
    });
    copied.map_err(|error| failed(to, &error))
}

/// All files below a directory, in order of their names.
pub(super) fn all(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(|error| failed(&dir, &error))? {
            let path = entry.map_err(|error| failed(&dir, &error))?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// Length and checksum of a file.
pub(super) fn hash(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path).map_err(|error| failed(path, &error))?;
    let (mut hasher, mut block, mut bytes) = (blake3::Hasher::new(), vec![0; BLOCK_BYTES], 0_u64);
    loop {
        let n = file.read(&mut block).map_err(|error| failed(path, &error))?;
        if n == 0 {
            return Ok((bytes, hasher.finalize().to_hex().to_string()));
        }
        bytes += n as u64;
        hasher.update(&block[..n]);
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| failed(dir, &error))
}
