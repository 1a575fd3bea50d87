//! Reading here and there: the kernel is told not to read ahead of a database's pages.
//!
//! One of ten million tasks is some pages anywhere. Where the kernel's cache holds others next to them it takes that for reading
//! in order, and reads up to megabytes more; everybody's next page, and the next commit, wait behind that.
//!
//! Must never decide over anything but time, and never open or close the database: whoever closes any descriptor of it takes
//! all of SQLite's locks on it from the process.

use std::{ffi::c_int, fs, path::Path};

/// Tells it of this process's open files that are the database. SQLite doesn't say which they are.
pub(super) fn advise(database: &Path) {
    for number in descriptors(database) {
        tell(number, 0, 0, libc::POSIX_FADV_RANDOM);
    }
}

/// Asks for a database's pages in order, however its trees are read.
pub struct InOrder {
    database: Option<c_int>,
    at: libc::off_t,
}

impl InOrder {
    /// Of a database that this process has open.
    pub(super) fn of(database: &Path) -> Self {
        Self { database: descriptors(database).last().copied(), at: 0 }
    }

    /// So many bytes more, without waiting for them.
    pub fn ask(&mut self, bytes: u32) {
        if let Some(number) = self.database {
            tell(number, self.at, bytes.into(), libc::POSIX_FADV_WILLNEED);
            self.at += libc::off_t::from(bytes);
        }
    }
}

/// None without /proc: it is a little slower then.
fn descriptors(database: &Path) -> Vec<c_int> {
    let Ok(database) = fs::canonicalize(database) else { return Vec::new() };
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let number = |entry: fs::DirEntry| {
        let is_it = fs::read_link(entry.path()).is_ok_and(|file| file == database);
        entry.file_name().to_str().filter(|_| is_it)?.parse().ok()
    };
    open.flatten().filter_map(number).collect()
}

fn tell(number: c_int, at: libc::off_t, bytes: libc::off_t, what: c_int) {
    // SAFETY: no memory is passed. If the number means another file by now, that one is read a little differently.
    unsafe { libc::posix_fadvise(number, at, bytes, what) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_found_by_its_name_as_often_as_it_is_open_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("one"), dir.path().join("other"));
        assert_eq!(descriptors(&path), []);
        let open = [&path, &path, &other].map(|path| fs::File::create(path).unwrap());
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        assert_eq!(descriptors(&dir.path().join("link")).len(), 2);
        drop(open);
        assert_eq!(descriptors(&path), []);
    }
}
