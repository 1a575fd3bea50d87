//! The files of a CA. What is there is never written over, and a key is never readable by others, not even while it is
//! being written.

use crate::Fatal;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// The CA's certificate, in its directory and beside every certificate it gives out.
pub(super) const CA_CERT: &str = "ca.crt";
/// Its key, in its directory only.
pub(super) const CA_KEY: &str = "ca.key";
/// Certificates and keys have a few kilobytes.
const FILE_BYTES: u64 = 1024 * 1024;

/// Makes the directory if there is none; others may look into it, but not into a key.
pub(super) fn directory(dir: &Path) -> Result<(), Fatal> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(dir);
    made.map_err(|error| Fatal::new(format!("cannot make {}: {error}", dir.display())))
}

pub(super) fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(file)?.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

pub(super) fn write_key(file: &Path, pem: &str) -> Result<(), Fatal> {
    write(file, pem, 0o600)
}

pub(super) fn write_certificate(file: &Path, pem: &str) -> Result<(), Fatal> {
    write(file, pem, 0o644)
}

fn write(file: &Path, pem: &str, mode: u32) -> Result<(), Fatal> {
    let written = || {
        let mut open = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
        open.write_all(pem.as_bytes())?;
        open.sync_all()
    };
    written().map_err(|error| Fatal::new(format!("cannot write {}: {error}", file.display())))
}
