//! Reading here and there: the kernel is told not to read ahead of a database's pages.
//!
//! One of ten million tasks is some pages anywhere. Where the kernel's cache holds others next to them it takes that for reading
//! in order, and reads up to megabytes more; everybody's next page, and the next commit, wait behind that.
//!
//! Must never decide over anything but time.

use std::{ffi::c_int, fs, path::Path};

/// Tells it of this process's open files that are the database. SQLite doesn't say which they are.
pub(super) fn advise(database: &Path) {
    let Ok(database) = fs::canonicalize(database) else { return };
    // Without /proc it is a little slower.
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    for entry in open.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        if let Some(number) = number
            && fs::read_link(entry.path()).is_ok_and(|file| file == database)
        {
            // SAFETY: no memory is passed. If the number means another file by now, that one is read without reading ahead.
            unsafe { libc::posix_fadvise(number, 0, 0, libc::POSIX_FADV_RANDOM) };
        }
    }
}
