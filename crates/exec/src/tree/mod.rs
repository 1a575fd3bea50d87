//! Process trees that can be ended with proof: a cgroup leaf for each, or the best that can be had without (P7).
//!
//! Nothing here waits (except [`sweep()`]): killing and being gone are two questions, and who asks decides how often.

mod cgroup;
mod mounts;
mod sweep;
mod walk;

pub use sweep::{Swept, sweep};
pub use walk::Cookie;

use crate::start::Child;
use cgroup::{Leaf, Parent, Version};
use domain::KillLevel;
use std::{io, os::fd::RawFd, os::unix::ffi::OsStrExt, os::unix::fs::MetadataExt, path::Path, time::SystemTime};
use walk::Walk;

/// Leaves kept for reuse: making one costs a fifth of a start. Beyond it they are removed.
const POOL: usize = 256;

/// The trees of one data directory.
#[derive(Debug)]
pub struct Trees {
    level: KillLevel,
    parent: Option<Parent>,
    free: Vec<Leaf>,
    /// Leaves given back before they were empty: never reused before they are.
    stuck: Vec<Leaf>,
    next: u64,
}

/// One attempt's process tree.
#[derive(Debug)]
pub struct Tree(Kind);

#[derive(Debug)]
enum Kind {
    Leaf(Leaf),
    Walk(Walk),
}

/// Names the trees of a data directory on this machine: equal for the same directory, whatever path leads to it, and
/// different for one that is made later in its place.
///
/// # Errors
/// The directory can't be read.
pub fn name_for(data_dir: &Path) -> io::Result<String> {
    let meta = data_dir.metadata()?;
    // Numbers of files are used again. Where the file system doesn't know when they were made, the path must do.
    let born = match meta.created().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()) {
        Some(at) => at.as_nanos().to_le_bytes().to_vec(),
        None => data_dir.canonicalize()?.as_os_str().as_bytes().to_vec(),
    };
    let numbers = [meta.dev(), meta.ino()];
    // FNV-1a: a name, not a secret.
    let hash = numbers
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .chain(born)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Ok(format!("baton-{hash:016x}"))
}

impl Trees {
    /// Finds the best way of ending trees that really works here, none better than `at_most`.
    pub fn open(name: &str, at_most: Option<KillLevel>) -> Self {
        let allowed = |level: KillLevel| at_most.is_none_or(|most| level >= most);
        let found = [(KillLevel::CgroupV2, Version::V2), (KillLevel::CgroupV1, Version::V1)]
            .into_iter()
            .filter(|(level, _)| allowed(*level))
            .find_map(|(level, version)| Parent::open(version, name).map(|parent| (level, parent)));
        let (level, parent) = match found {
            Some((level, parent)) => (level, Some(parent)),
            None => (KillLevel::BestEffort, None),
        };
        Self { level, parent, free: Vec::new(), stuck: Vec::new(), next: 0 }
    }

    /// How these trees are ended.
    pub fn level(&self) -> KillLevel {
        self.level
    }

    /// An empty tree. `cookie` is what all of its processes find in their environment, unless they scrub it: only
    /// best effort needs it.
    ///
    /// # Errors
    /// No leaf can be made.
    pub fn take(&mut self, cookie: Cookie) -> io::Result<Tree> {
        let Some(parent) = &self.parent else { return Ok(Tree(Kind::Walk(Walk::new(cookie)))) };
        if let Some(leaf) = self.free.pop() {
            return Ok(Tree(Kind::Leaf(leaf)));
        }
        loop {
            self.next += 1;
            match parent.leaf(&self.next.to_string()) {
                // Of a dead keeper, with processes that don't end.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                leaf => return leaf.map(|leaf| Tree(Kind::Leaf(leaf))),
            }
        }
    }

    /// Takes a tree back for reuse. If it isn't empty, it is kept until [`Trees::tidy`] finds it so.
    pub fn give_back(&mut self, tree: Tree) {
        match tree.0 {
            Kind::Walk(_) => {}
            Kind::Leaf(leaf) if leaf.is_empty().unwrap_or(false) => self.keep(leaf),
            Kind::Leaf(leaf) => self.stuck.push(leaf),
        }
    }

    /// Kills again what is left in trees that were given back too early. Returns whether there is something.
    pub fn tidy(&mut self) -> bool {
        for mut leaf in std::mem::take(&mut self.stuck) {
            let _ = leaf.kill();
            if leaf.is_empty().unwrap_or(false) { self.keep(leaf) } else { self.stuck.push(leaf) }
        }
        !self.stuck.is_empty()
    }

    fn keep(&mut self, leaf: Leaf) {
        if self.free.len() < POOL && leaf.is_reusable() { self.free.push(leaf) } else { leaf.remove() }
    }
}

impl Drop for Trees {
    fn drop(&mut self) {
        self.free.drain(..).chain(self.stuck.drain(..)).for_each(Leaf::remove);
        if let Some(parent) = &self.parent {
            // Stays if a tree is still out.
            parent.remove();
        }
    }
}

impl Tree {
    /// How a child gets in: by being cloned into this directory, or by writing to this `cgroup.procs`.
    pub(crate) fn join(&self) -> (Option<RawFd>, Option<RawFd>) {
        match &self.0 {
            Kind::Leaf(leaf) => leaf.join(),
            Kind::Walk(_) => (None, None),
        }
    }

    /// Notes the process that leads it.
    pub(crate) fn started(&mut self, child: &Child) {
        match &mut self.0 {
            Kind::Leaf(_) => {}
            Kind::Walk(walk) => walk.started(child.pid()),
        }
    }

    /// Asks all of it to end: SIGTERM, and SIGCONT so that stopped processes hear it.
    ///
    /// # Errors
    /// Its members can't be read.
    pub fn terminate(&mut self) -> io::Result<()> {
        for signal in [libc::SIGTERM, libc::SIGCONT] {
            match &mut self.0 {
                Kind::Leaf(leaf) => leaf.signal(signal)?,
                Kind::Walk(walk) => walk.signal(signal)?,
            }
        }
        Ok(())
    }

    /// Kills all of it, as far as one try goes. To be repeated until [`Tree::is_empty`].
    ///
    /// # Errors
    /// Its members can't be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Leaf(leaf) => leaf.kill(),
            Kind::Walk(walk) => walk.signal(libc::SIGKILL),
        }
    }

    /// Whether no process of it is left. Zombies don't count: they run nothing.
    ///
    /// # Errors
    /// It can't be read.
    pub fn is_empty(&mut self) -> io::Result<bool> {
        match &mut self.0 {
            Kind::Leaf(leaf) => leaf.is_empty(),
            Kind::Walk(walk) => walk.is_empty(),
        }
    }
}

/// Signals a process; one that is gone is none.
pub(crate) fn signal(pid: i32, signal: i32) {
    // SAFETY: no memory is involved. 0 and negative numbers would be groups.
    if pid > 0 {
        unsafe { libc::kill(pid, signal) };
    }
}
