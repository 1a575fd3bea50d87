//! A cgroup leaf a tree: v2 with `cgroup.kill`, or v1 (pids), killing its members until there are none.

use super::{mounts, signal};
use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, fd::RawFd, unix::fs::FileExt, unix::fs::MetadataExt, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Which sort of cgroups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    V1,
    V2,
}

/// The directory that holds all leaves of a data directory.
#[derive(Debug)]
pub(super) struct Parent {
    version: Version,
    path: PathBuf,
}

/// One leaf, with its files held open: a tree uses them several times.
#[derive(Debug)]
pub(super) struct Leaf {
    version: Version,
    path: PathBuf,
    dir: File,
    /// v2: `cgroup.kill`; v1: `cgroup.procs`, for joining.
    write: File,
    /// v2: `cgroup.events`; v1: `cgroup.procs`.
    read: File,
    /// `cgroup.kill` was used. Some kernels (6.18 among them) compare the wrong counter when a process is cloned into
    /// such a cgroup, and kill it at birth: it must not be used again.
    killed: bool,
}

impl Parent {
    /// Makes the directory where leaves work, by trying one.
    pub(super) fn open(version: Version, name: &str) -> Option<Self> {
        mounts::places(version).iter().find_map(|place| Self::open_in(version, &place.join(name)).ok())
    }

    fn open_in(version: Version, path: &Path) -> io::Result<Self> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let parent = Self { version, path: path.to_owned() };
        let works = parent.leaf(&format!("probe-{}", std::process::id())).and_then(|leaf| {
            let works = leaf.probe();
            leaf.remove();
            works
        });
        if let Err(error) = works {
            parent.remove();
            return Err(error);
        }
        Ok(parent)
    }

    /// Every parent of this name that exists, whether or not it would work today.
    pub(super) fn existing(name: &str) -> Vec<Self> {
        let all = |version| mounts::places(version).into_iter().map(move |place| (version, place.join(name)));
        all(Version::V2)
            .chain(all(Version::V1))
            .filter(|(_, path)| path.is_dir())
            .map(|(version, path)| Self { version, path })
            .collect()
    }

    /// A new leaf.
    pub(super) fn leaf(&self, name: &str) -> io::Result<Leaf> {
        let path = self.path.join(name);
        match fs::create_dir(&path) {
            // Somebody tidied up: an empty cgroup looks abandoned.
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&path)?,
            made => made?,
        }
        Leaf::open(self.version, path)
    }

    /// Its leaves, from the directory: those of a dead process too.
    pub(super) fn leaves(&self) -> io::Result<Vec<Leaf>> {
        let mut leaves = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                leaves.push(Leaf::open(self.version, entry.path())?);
            }
        }
        Ok(leaves)
    }

    pub(super) fn remove(&self) {
        // It stays if a leaf is in use; then somebody else will.
        let _ = fs::remove_dir(&self.path);
    }
}

impl Leaf {
    fn open(version: Version, path: PathBuf) -> io::Result<Self> {
        let (write, read) = match version {
            Version::V1 => ("cgroup.procs", "cgroup.procs"),
            Version::V2 => ("cgroup.kill", "cgroup.events"),
        };
        Ok(Self {
            version,
            dir: File::options().read(true).custom_flags(libc::O_DIRECTORY).open(&path)?,
            write: File::options().write(true).open(path.join(write))?,
            read: File::open(path.join(read))?,
            path,
            killed: false,
        })
    }

    /// Whether a process can be born in it.
    fn probe(&self) -> io::Result<()> {
        match self.version {
            Version::V2 => crate::start::probe(self.dir.as_raw_fd()),
            // Joining is writing, and opening the file for that was allowed.
            Version::V1 => Ok(()),
        }
    }

    pub(super) fn join(&self) -> (Option<RawFd>, Option<RawFd>) {
        match self.version {
            Version::V2 => (Some(self.dir.as_raw_fd()), None),
            Version::V1 => (None, Some(self.write.as_raw_fd())),
        }
    }

    pub(super) fn signal(&self, number: i32) -> io::Result<()> {
        members(&self.path, &mut |pid| signal(pid, number))
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        match self.version {
            Version::V2 => {
                self.killed = true;
                self.write.write_at(b"1", 0).map(|_| ())
            }
            Version::V1 => self.signal(libc::SIGKILL),
        }
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        match self.version {
            Version::V2 => {
                let mut text = [0; 256];
                let length = self.read.read_at(&mut text, 0)?;
                let text = text.get(..length).unwrap_or_default();
                Ok(text.split(|b| *b == b'\n').any(|line| line == b"populated 0"))
            }
            Version::V1 => {
                let mut any = false;
                members(&self.path, &mut |_| any = true)?;
                Ok(!any)
            }
        }
    }

    /// Whether another tree may have it: it was not killed, and has no cgroups of its own below it.
    pub(super) fn is_reusable(&self) -> bool {
        // Two names of its own and one `..` a child.
        !self.killed && self.dir.metadata().is_ok_and(|m| m.nlink() == 2)
    }

    /// Removes it and what its tree made below it. One that isn't empty stays.
    pub(super) fn remove(self) {
        remove(&self.path);
    }
}

/// Calls for each process in a cgroup and those below it.
fn members(path: &Path, each: &mut dyn FnMut(i32)) -> io::Result<()> {
    let text = match fs::read_to_string(path.join("cgroup.procs")) {
        Ok(text) => text,
        // A threaded cgroup below: its processes are listed above it.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => String::new(),
        Err(error) => return Err(error),
    };
    text.lines().filter_map(|line| line.parse().ok()).for_each(&mut *each);
    for below in below(path) {
        match members(&below, each) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The cgroups right below; mostly none, which the number of links says.
fn below(path: &Path) -> Vec<PathBuf> {
    if fs::metadata(path).is_ok_and(|m| m.nlink() == 2) {
        return Vec::new();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn remove(path: &Path) {
    below(path).iter().for_each(|p| remove(p));
    // One that isn't empty stays.
    let _ = fs::remove_dir(path);
}
